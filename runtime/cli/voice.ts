import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { aborted } from '../../base/abort.js'
import { systemClock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import { LogTail, createLog, type Logger } from '../../base/log.js'
import type { SpareChild } from '../../models/engine/spare-child.js'
import { openBundle } from '../compose/open-bundle.js'
import type { Live } from '../compose/open-fleet.js'
import { Runtime } from '../compose/runtime.js'
import { Service } from '../compose/service.js'
import { checkDrivers, complaint, loadConfig } from '../config/load.js'
import type { Model } from '../conversation/conversation.js'
import type { ConversationEvent } from '../conversation/events.js'
import { EXIT, say, type StopSignal } from './command.js'
import { EventFile } from './event-file.js'
import { openModel } from './open-model.js'
import { PACKAGE, SHIPPED_BUNDLE, bundlePath } from './paths.js'

/** A restart that was asked for waits for the end of a sentence, and no longer, ms. */
const RESTART_LIMIT_MS = 15_000
const LOOK_MS = 20

export interface VoiceOptions {
  readonly config?: string | undefined
  readonly bundle?: string | undefined
  readonly events?: string | undefined
  readonly json: boolean
}

/** `parley run`, once its process for the model has been started; `closing` ends it, `stops` stops what moves. Resolves with its exit code. */
export async function voice(values: VoiceOptions, spare: SpareChild, closing: AbortController, stops: StopSignal): Promise<number> {
  const loaded = await loadConfig(values.config)
  const tail = new LogTail()
  const log = createLog(process.env['PARLEY_LOG'] ?? loaded.config.log.level, tail)
  using file = values.events === undefined ? undefined : new EventFile(values.events, text => log.error(text)).open()
  using output = values.json ? new EventFile('-', text => log.error(text)).open() : undefined
  const again = new AbortController()
  await using service = new Service({ clock: systemClock, log })
  await service.start()

  const live: Live = { config: loaded.config }
  const { telemetry } = loaded.config
  const side = telemetry && (await import('../compose/open-fleet.js')).openFleet(telemetry, loaded, await version(), live, log, tail, reason => { log.info({ reason }, 'a restart was asked for'); again.abort() })
  const fleet = side?.fleet
  if (fleet) live.config = await fleet.load()
  const { config } = live
  const wrong = await checkDrivers(config)
  if (wrong.length) throw complaint(wrong, loaded.path ?? 'the defaults')

  const onEvent = (event: ConversationEvent): void => {
    file?.write(event)
    output?.write(event)
    fleet?.take(event)
    logEvent(log, event)
  }
  // It answers something else than it was built to: whoever looks after it must know, but a doubtful voice is better than none.
  const onFailed = ({ code, message }: ParleyError): void => onEvent({ at: 0, type: 'error', code, message })
  const own = bundlePath(values.bundle, config.bundle.path, loaded.path)
  const place = { folder: own }
  const open = async (folder: string, onRespawn: () => void, signal: AbortSignal): Promise<Model> => {
    place.folder = folder
    const model = await service.loading(() => openModel(folder, config, { judged: service.judged, spare, onRespawn, onFailed, signal }))
    log.info({ provider: model.provider, refusals: model.refusals }, 'the model is loaded')
    return model
  }
  const runtime = new Runtime({
    config, log, onEvent,
    openModel: (onRespawn, signal) => {
      const bundles = values.bundle === undefined ? side?.bundles : undefined
      return openBundle({ shipped: SHIPPED_BUNDLE, own, bundles, onTrial: () => service.onTrial(), open: folder => open(folder, onRespawn, signal), log, signal })
    },
    ...(fleet ? { ownFacts: { facts: loaded.config.facts, onTaken: refused => fleet.device.missed('facts', describe(refused)) } } : {}),
  })
  stops.whenever(() => runtime.stop())
  try {
    const opening = runtime.open()
    opening.catch(async error => { if (error instanceof ParleyError && error.code === 'golden-failed') await service.selfTest(false) })
    await Promise.race([opening, aborted(closing.signal)])
    if (closing.signal.aborted) return EXIT.ok
    live.runtime = runtime
    await service.selfTest(true)
    await firstFrame(runtime, closing.signal)
    service.ready(runtime.progress, () => runtime.busy)
    log.info({ readyMs: Math.round(performance.now()) }, 'listening')
    if (!values.json && process.stdout.isTTY) say('Listening. Ctrl-C ends it.')
    if (fleet) {
      fleet.device.telemetry.link.onNews(news => { if (news.what === 'connected') service.brokerReached() })
      // Whatever is wrong with telemetry, the device goes on talking.
      await fleet.start(place.folder).catch((error: unknown) => log.error({ reason: describe(error) }, 'telemetry cannot be started'))
    } else service.brokerReached() // there is none that could be missed
    await Promise.race([runtime.done(), aborted(closing.signal), aborted(again.signal).then(() => quiet(runtime, closing.signal))])
    return closing.signal.aborted ? EXIT.ok : again.signal.aborted ? EXIT.again : EXIT.failed
  } finally {
    // At the same time: both together must be over in 2 s.
    await Promise.all([runtime[Symbol.asyncDispose](), fleet?.[Symbol.asyncDispose]()])
  }
}

async function version(): Promise<string> {
  return (JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8')) as { version: string }).version
}

/** Never what was said: only that something was, and how fast. */
function logEvent(log: Logger, event: ConversationEvent): void {
  // The message of a turn's error may quote what was said or ordered; its code says enough.
  if (event.type === 'error') log.warn({ code: event.code, turn: event.turn, ...(event.turn === undefined ? { reason: event.message } : {}) }, 'error')
  if (event.type !== 'turn') return
  const { turn, firstSoundMs, heardMs, bargeInMs, interrupted, steps, drops, tools } = event
  log.info({ turn, firstSoundMs, heardMs, interrupted, bargeInMs, steps, drops, calls: tools.map(c => c.name) }, 'turn')
}

/** Resolves when capture gives sound, or with the signal. Without a limit of its own: the service manager has one. */
async function firstFrame(runtime: Runtime, signal: AbortSignal): Promise<void> {
  const capture = runtime.progress.find(p => p.name === 'capture')
  const before = capture?.lastProgressAt() ?? 0
  const ended = runtime.done().then(() => true)
  while (!signal.aborted && (capture?.lastProgressAt() ?? 0) <= before) {
    if (await Promise.race([ended, systemClock.sleep(LOOK_MS).then(() => false)])) return
  }
}

/** Resolves when nobody speaks, at the latest after the limit. */
async function quiet(runtime: Runtime, signal: AbortSignal): Promise<void> {
  for (const end = systemClock.now() + RESTART_LIMIT_MS; runtime.busy && systemClock.now() < end && !signal.aborted;) await systemClock.sleep(LOOK_MS)
}
