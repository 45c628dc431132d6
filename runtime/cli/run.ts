import { createLog } from '../../base/log.js'
import { Runtime } from '../compose/runtime.js'
import { checkDrivers, complaint, loadConfig } from '../config/load.js'
import type { ConversationEvent } from '../conversation/events.js'
import { EXIT, parse, say, untilSignal, type Command } from './command.js'
import { EventFile } from './event-file.js'
import { openModel } from './open-model.js'
import { bundlePath } from './paths.js'

const help = `
parley run [--config FILE] [--bundle DIR] [--events FILE] [--json]

Listens and talks until it is stopped. Without a configuration: the sound server's or the sound card's default devices,
the shipped model, calls written to the log.

  --config FILE   default: parley.toml here, then /etc/parley/parley.toml
  --bundle DIR    the model
  --events FILE   one JSON object a line (docs/events.md). It holds what was said: keep it on the device
  --json          the events on the standard output

SIGTERM or Ctrl-C closes everything within 2 s. SIGUSR2 stops the actuators at once.
Exit codes: 0 stopped, 1 the microphone ended, 3 wrong configuration or bundle, 4 no microphone.`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, { config: { type: 'string' }, bundle: { type: 'string' }, events: { type: 'string' }, json: { type: 'boolean', default: false } })
  const startedAt = performance.now()
  const { config, path } = await loadConfig(values.config)
  const wrong = await checkDrivers(config)
  if (wrong.length) throw complaint(wrong, path ?? 'the defaults')
  const log = createLog(process.env['PARLEY_LOG'] ?? config.log.level)
  using file = values.events === undefined ? undefined : new EventFile(values.events).open()
  using output = values.json ? new EventFile('-').open() : undefined
  const closing = untilSignal()
  const onEvent = (event: ConversationEvent): void => {
    file?.write(event)
    output?.write(event)
    logEvent(event)
  }
  // Never what was said: only that something was, and how fast.
  const logEvent = (event: ConversationEvent): void => {
    if (event.type === 'error') log.warn({ code: event.code, turn: event.turn, reason: event.message }, 'error')
    if (event.type !== 'turn') return
    const { turn, firstSoundMs, heardMs, bargeInMs, interrupted, steps, drops, tools } = event
    log.info({ turn, firstSoundMs, heardMs, interrupted, bargeInMs, steps, drops, calls: tools.map(c => c.name) }, 'turn')
  }
  await using runtime = new Runtime({ config, log, onEvent, openModel: onRespawn => openModel(bundlePath(values.bundle, config.bundle.path, path), config, onRespawn) })
  await Promise.race([runtime.open(), aborted(closing.signal)])
  if (closing.signal.aborted) return EXIT.ok
  process.on('SIGUSR2', () => runtime.stop())
  log.info({ readyMs: Math.round(performance.now() - startedAt) }, 'listening')
  if (!values.json && process.stdout.isTTY) say('Listening. Ctrl-C ends it.')
  await Promise.race([runtime.done(), aborted(closing.signal)])
  return closing.signal.aborted ? EXIT.ok : EXIT.failed
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

export const command: Command = { summary: 'listens and talks', help, run }
