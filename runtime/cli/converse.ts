import { createLog } from '../../base/log.js'
import { factLines, readingsOf } from '../config/site.js'
import { loadConfig, loadSite } from '../config/load.js'
import { configSchema } from '../config/schema.js'
import type { ConversationEvent } from '../conversation/events.js'
import { converse } from '../converse/converse.js'
import { EXIT, parse, say, untilSignal, usage, type Command } from './command.js'
import { EventFile } from './event-file.js'
import { openModel } from './open-model.js'
import { bundlePath } from './paths.js'

const help = `
parley converse --in turns.wav [--facts site.toml] [--out reply.wav] [--events events.jsonl] [--pace real|fast] [--bundle DIR] [--config FILE]
parley converse --text "where are the restrooms" …

Holds a conversation with a recording instead of a microphone. Needs no sound card.

  --in FILE       any PCM WAV as the microphone: any rate, any number of channels
  --text TEXT     a typed turn (with --in: it is read while the recording begins)
  --facts FILE    TOML with [facts] and [readings]
  --out FILE      the reply as WAV; its time zero is the input's first sample
  --events FILE   one JSON object a line (docs/events.md); - is the standard output
  --pace PACE     real (default): as long as the recording; fast: as fast as the machine can, with the same words
  --bundle DIR    the model; default: the one that --config names, else the shipped one
  --config FILE   a device's configuration; default: the defaults, whatever parley.toml lies here or in /etc/parley
  --json          prints the turns' records as one JSON array

Exit codes: 0 done, 2 wrong command line, 3 a wrong file or one that could not be written whole, 4 something is missing here,
5 the model failed in every step, 6 a damaged bundle, 7 the model does not run, 130 interrupted.`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, {
    in: { type: 'string' }, text: { type: 'string' }, facts: { type: 'string' }, out: { type: 'string' }, events: { type: 'string' },
    pace: { type: 'string', default: 'real' }, bundle: { type: 'string' }, config: { type: 'string' }, json: { type: 'boolean', default: false },
  })
  if (values.in === undefined && values.text === undefined) throw usage('it needs --in or --text')
  if (values.text?.trim() === '') throw usage('--text is empty')
  if (values.pace !== 'real' && values.pace !== 'fast') throw usage(`--pace is real or fast, not ${JSON.stringify(values.pace)}`)
  // No file that happens to lie about: the same recording gives the same words in every folder.
  const { config, path } = values.config === undefined ? { config: configSchema.parse({}), path: undefined } : await loadConfig(values.config)
  const site = values.facts === undefined ? { facts: {}, readings: {} } : await loadSite(values.facts)
  using file = values.events === undefined ? undefined : new EventFile(values.events).open()
  const closing = untilSignal()
  const turns: ConversationEvent[] = []
  const errors: ConversationEvent[] = []
  const onEvent = (event: ConversationEvent): void => {
    file?.write(event)
    if (event.type === 'turn') turns.push(event)
    if (event.type === 'error') errors.push(event)
    if (!values.json && values.events !== '-') tellPerson(event)
  }
  const readings = readingsOf(site.readings)
  // A model that was started anew knows the facts and what is measured, but no event.
  const retell = (): void => { for (const { source, value } of readings) if (typeof value !== 'number') session.tell(`${source} ${value}`) }
  await using session = await openModel(bundlePath(values.bundle, config.bundle.path, path), config, { onRespawn: retell, onFailed: ({ code, message }) => onEvent({ at: 0, type: 'error', code, message }) })
  await converse({
    session, ...(values.in === undefined ? {} : { input: values.in }), ...(values.text === undefined ? {} : { text: values.text }),
    ...(values.out === undefined ? {} : { output: values.out }), pace: values.pace,
    facts: factLines(site.facts), readings, settings: config, onEvent,
    log: createLog(process.env['PARLEY_LOG'] ?? 'error'), signal: closing.signal,
  })
  if (values.json) say(JSON.stringify(turns))
  if (closing.signal.aborted) return EXIT.interrupted
  if (errors.some(e => e.type === 'error' && e.code === 'engine-dead')) return EXIT.internal
  return file?.lost ? EXIT.badInput : EXIT.ok
}

function tellPerson(event: ConversationEvent): void {
  const at = `${(event.at / 1000).toFixed(2).padStart(7)} s  `
  if (event.type === 'turn') say(`${at}${event.text || '(no words)'}${event.interrupted ? '  [interrupted]' : ''}`)
  if (event.type === 'tool') say(`${at}→ ${event.name}(${Object.entries(event.args).map(([k, v]) => `${k}: ${v}`).join(', ')})`)
  if (event.type === 'error') process.stderr.write(`${at}${event.code}: ${event.message}\n`)
}

export const command: Command = { summary: 'a conversation with a recording or a typed turn', help, run }
