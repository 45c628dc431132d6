import { hostname } from 'node:os'
import { z } from 'zod'
import { ParleyError } from '../../base/errors.js'
import { answers } from './answers.js'

export type Ask = (question: string) => Promise<string>

/** What the configuration says already: proposed, and kept by who only presses return. */
export interface Known {
  readonly device?: string
  readonly site?: string
  readonly broker?: { readonly url?: string; readonly ca?: string }
  readonly volume?: number
  readonly updates?: string
}

/** A wrong answer is asked for again, so often; then it is a mistake and no slip. */
const TRIES = 5
/** More is written into parley.toml. */
const MOST_FACTS = 40

/** Asks a person for all that `answers` has. Each wrong answer is told and asked for again. */
export async function questions(ask: Ask, known: Known, tell: (line: string) => void): Promise<Record<string, unknown>> {
  const one = async (question: string, standard: string | undefined, schema: z.ZodType): Promise<string> => {
    for (let n = 1; ; n++) {
      const said = (await ask(standard === undefined ? `${question}: ` : `${question} [${standard}]: `)).trim() || (standard ?? '')
      const found = schema.safeParse(said)
      if (found.success) return said
      // Of a choice the last branch is what is wanted; the first is that there is none.
      const [issue] = found.error.issues
      const expected = issue?.code === 'invalid_union' ? issue.errors.at(-1)?.[0]?.message : issue?.message
      if (n === TRIES) throw new ParleyError('bad-config', `${question}: ${expected}`, { hint: 'parley provision --from FILE takes the answers from a file' })
      tell(`  expected: ${expected}`)
    }
  }
  const may = (schema: z.ZodType): z.ZodType => z.union([z.literal(''), schema])
  const { shape } = answers
  const device = await one('Name of this device (letters, digits, - and _)', known.device ?? nameOfMachine(), shape.device)
  const site = await one('Name of the site', known.site, shape.site)
  const facts: Record<string, string> = {}
  tell('Facts that people ask about here, one a line, as in "cafe: left of the entrance". An empty line ends them.')
  for (let n = 0; n < MOST_FACTS; n++) {
    const line = await one(`Fact ${n + 1}`, undefined, may(z.string().regex(/^[^:]*[^:\s][^:]*:\s*\S/, 'a name, a colon and what is to be said')))
    if (line === '') break
    const cut = line.indexOf(':')
    facts[line.slice(0, cut).trim().replace(/\s+/g, '_')] = line.slice(cut + 1).trim()
  }
  const brokerUrl = answers.shape.broker.unwrap().shape.url
  const url = await one('Broker, as in mqtts://broker.local:8883 (- for none)', known.broker?.url ?? '-', z.union([z.literal('-'), brokerUrl]))
  const ca = url.startsWith('mqtts:') ? await one('File of its certificate authority (- for the system\'s)', known.broker?.ca ?? '-', z.string()) : '-'
  const claimFile = url === '-' ? '' : await one('Claim file from the fleet\'s owner, with certificate and key (empty: none)', undefined, z.string())
  const from = await one('Updates from (https://…, a folder, - for none)', known.updates ?? '-', z.string())
  const volume = await one('Volume in percent', String(known.volume ?? 60), z.string().regex(/^(\d\d?|100)$/, '0 to 100'))
  return {
    device, site, facts, volume: Number(volume),
    ...(url === '-' ? {} : { broker: { url, ...(ca === '-' ? {} : { ca }) } }),
    ...(claimFile === '' ? {} : { claimFile }),
    ...(from === '-' ? {} : { update: { from } }),
  }
}

/** Louder or softer, until a person hears it well: the new volume, or undefined when it is right. */
export async function judgeVolume(ask: Ask, volume: number): Promise<number | undefined> {
  const said = (await ask('Could you hear it well? [yes], louder, softer: ')).trim().toLowerCase()
  const next = said.startsWith('l') ? Math.min(100, volume + STEP) : said.startsWith('s') ? Math.max(STEP, volume - STEP) : volume
  return next === volume ? undefined : next
}

/** Percent: less is hardly heard as a change. */
const STEP = 15

const nameOfMachine = (): string | undefined => /^[A-Za-z0-9_-]{1,40}$/.exec(hostname().split('.')[0] ?? '')?.[0]
