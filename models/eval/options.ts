import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ParleyError, describe } from '../../base/errors.js'
import type { EvalOptions } from './evaluate.js'

/** From dist/models/eval. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export const USAGE = `npm run eval -- [--cases DIR] [--bundle models/pico] [--limit N] [--focus] [--pairs N]
  [--speech OUTDIR [--python PYTHON]] [--json FILE] [--card models/pico/CARD.md] [--compare FIGURES.json]

--cases    held-out cases, made by \`python -m parley_train.heldout\` (default: heldout/ in the work folder of training)
--focus    only the intents that the first bundle learns best
--speech   writes each reply's WAV; with --python, an independent recogniser judges them
--compare  a --json report of the same cases on another precision`

export interface MainOptions extends EvalOptions {
  readonly json: string | undefined
  readonly card: string | undefined
}

/** Throws `eval-usage` for what it does not know. */
export function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv = process.env): MainOptions | 'help' {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  let values
  try {
    values = parseArgs({ args: [...args], strict: true, allowPositionals: false, options: { cases: text, bundle: text, limit: text, pairs: text, speech: text, python: text, json: text, card: text, compare: text, focus: flag, help: flag } }).values
  } catch (cause) {
    throw new ParleyError('eval-usage', describe(cause), { cause, hint: USAGE })
  }
  if (values.help) return 'help'
  if (values.python !== undefined && values.speech === undefined) throw new ParleyError('eval-usage', '--python judges the files of --speech, which is missing')
  const limit = whole('--limit', values.limit, 1)
  const pairs = whole('--pairs', values.pairs, 0)
  const { speech, python, compare } = values
  return {
    cases: values.cases ?? join(env['PARLEY_WORK'] ?? join(ROOT, 'models/train/work'), 'heldout'),
    bundle: values.bundle ?? join(ROOT, 'models/pico'),
    focus: values.focus,
    json: values.json,
    card: values.card,
    ...(limit !== undefined && { limit }),
    ...(pairs !== undefined && { pairs }),
    ...(speech !== undefined && { speech }),
    ...(python !== undefined && { python }),
    ...(compare !== undefined && { compare }),
  }
}

function whole(name: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined
  const n = Number(value)
  if (!Number.isInteger(n) || n < least) throw new ParleyError('eval-usage', `${name}: expected a whole number of at least ${least}, not ${JSON.stringify(value)}`)
  return n
}
