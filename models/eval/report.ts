import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ParleyError } from '../../base/errors.js'
import type { Figure } from './figure.js'

/** How a run was made, and its figures. `--json` writes it with all single results beside it. */
export interface Report {
  /** ISO date and time. */
  readonly when: string
  readonly bundle: { readonly name: string; readonly version: string; readonly sha256: string; readonly precision: string; readonly provider: string }
  readonly cases: { readonly sha256: string; readonly n: number; readonly unjudged: number; /** Why the bars are not judged: a part of the cases only. */ readonly part?: string }
  readonly machine: { readonly cpu: string; readonly cores: number; readonly load: number }
  readonly figures: readonly Figure[]
}

const Value = z.object({ key: z.string(), value: z.number().optional() })
const Base = z.object({
  bundle: z.object({ precision: z.string(), sha256: z.string() }),
  cases: z.object({ sha256: z.string(), n: z.number() }),
  figures: z.array(Value),
})

/** The report of another precision, as much as is compared. */
export type BaseReport = z.infer<typeof Base>

/** Throws `eval-compare` when the file is not a report of `--json`. */
export async function readBase(path: string): Promise<BaseReport> {
  try {
    return Base.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    throw new ParleyError('eval-compare', `${path} is not a report`, { cause, hint: 'Make it with --json on the other bundle.' })
  }
}

/** A comparison of different cases would say nothing. */
export function needSameCases(report: Pick<Report, 'cases'>, base: BaseReport, path: string): void {
  if (base.cases.sha256 === report.cases.sha256 && base.cases.n === report.cases.n) return
  throw new ParleyError('eval-compare', `${path} was made on other cases (${base.cases.n}) than these (${report.cases.n})`)
}
