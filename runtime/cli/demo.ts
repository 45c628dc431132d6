import { join } from 'node:path'
import { systemClock } from '../../base/clock.js'
import { createLog } from '../../base/log.js'
import { Runtime } from '../compose/runtime.js'
import { loadConfig } from '../config/load.js'
import type { ConversationEvent } from '../conversation/events.js'
import { Director } from '../demo/director.js'
import { troubleOf, type DemoResult } from '../demo/judge.js'
import { loadScript } from '../demo/script.js'
import { openStage, type StageKind } from '../demo/stage.js'
import { TelemetryTable } from '../demo/telemetry-table.js'
import { EXIT, parse, say, table, untilSignal, usage, type Command } from './command.js'
import { EventFile } from './event-file.js'
import { openModel } from './open-model.js'
import { PACKAGE, bundlePath } from './paths.js'

const help = `
parley demo [--script FILE] [--stage auto|room|file] [--echo] [--out FILE] [--events FILE] [--bundle DIR] [--json]

Holds a conversation with recorded people, in real time, and looks whether each turn did what it should. After each turn a row of
the telemetry table: what the device would tell its fleet now. No network and no broker is needed.

  --script FILE   the turns (default: test/fixtures/demo.toml)
  --stage KIND    room: a private sound server, the real drivers; file: no sound server; auto: file where a sound card
                  makes the reply audible, else the room where PulseAudio is installed, else file
  --echo          room only: the microphone hears the speaker
  --out FILE      the reply (default: .parley/demo-reply.wav)
  --events FILE   one JSON object a line (docs/events.md)
  --bundle DIR    the model; default: the shipped one
  --json          the results as JSON

Exit codes: 0 every turn did what it should and no part broke, 1 not so, 3 a wrong file, 4 something is missing here, 6 a damaged bundle,
7 the model does not run.`

const STAGES: readonly string[] = ['auto', 'room', 'file']

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, {
    script: { type: 'string', default: join(PACKAGE, 'test', 'fixtures', 'demo.toml') }, stage: { type: 'string', default: 'auto' }, echo: { type: 'boolean', default: false },
    out: { type: 'string', default: join('.parley', 'demo-reply.wav') }, events: { type: 'string' }, bundle: { type: 'string' }, json: { type: 'boolean', default: false },
  })
  if (!STAGES.includes(values.stage)) throw usage(`--stage is ${STAGES.join(', ')}, not ${JSON.stringify(values.stage)}`)
  const script = await loadScript(values.script)
  const { config: own } = await loadConfig()
  const config = { ...own, facts: script.facts, readings: script.readings, sensors: {}, camera: undefined, actuator: { driver: 'log' } }
  const log = createLog(process.env['PARLEY_LOG'] ?? 'error')
  const closing = untilSignal()
  using file = values.events === undefined ? undefined : new EventFile(values.events).open()
  const holder: { director?: Director; onRespawn: () => void } = { onRespawn: () => {} }
  const telemetry = new TelemetryTable(systemClock)
  const troubles: string[] = []
  const onEvent = (event: ConversationEvent): void => {
    file?.write(event)
    holder.director?.take(event)
    telemetry.take(event)
    const trouble = troubleOf(event)
    if (trouble !== undefined) troubles.push(trouble)
    if (event.type === 'error') process.stderr.write(`${event.code}: ${event.message}\n`)
  }
  const session = await openModel(bundlePath(values.bundle), config, { onRespawn: () => holder.onRespawn(), onFailed: ({ code, message }) => onEvent({ at: 0, type: 'error', code, message }) })
  const stage = await openStage(values.stage as StageKind, { host: { clock: systemClock, log, signal: closing.signal }, rate: session.outputRate, output: values.out, echo: values.echo })
    .catch(async (error: unknown) => { await session[Symbol.asyncDispose](); throw error })
  const results: DemoResult[] = []
  try {
    if (!values.json) say(`${stage.description}\nmodel ${session.name} on ${session.provider}\n`)
    const openIt = async (onRespawn: () => void): Promise<typeof session> => { holder.onRespawn = onRespawn; return session }
    await using runtime = new Runtime({ config: { ...config, echo: { mode: stage.echo ? 'gate' : 'off' } }, log, onEvent, microphone: stage.microphone, speaker: stage.speaker, openModel: openIt })
    await runtime.open()
    const director = new Director(script, stage, runtime.conversation, closing.signal)
    holder.director = director
    results.push(...(await director.play(result => {
      if (values.json) return
      tellTurn(result)
      for (const row of telemetry.rows(runtime.health(), session.respawns)) say(row)
    })))
  } finally {
    await stage.finish()
  }
  const turnsGood = results.length === script.turns.length && results.every(r => r.missing.length === 0)
  const good = turnsGood && troubles.length === 0
  const verdict = `${turnsGood ? 'Every' : 'Not every'} turn did what it should.${troubles.length ? ` The demo failed by what broke meanwhile: ${troubles.join('; ')}` : ''}`
  say(values.json ? JSON.stringify({ ok: good, stage: stage.description, output: values.out, turns: results, troubles }, null, 2) : `\n${summary(results)}\n\n${telemetry.summary()}\nThe reply is in ${values.out}. ${verdict}`)
  if (closing.signal.aborted) return EXIT.interrupted
  return good ? EXIT.ok : EXIT.failed
}

function tellTurn(result: DemoResult): void {
  say(`person: ${result.said}\ndevice: ${[result.answer, ...result.tools.map(t => `→ ${t}`)].filter(Boolean).join(' ')}${result.missing.length ? `\n  MISSING: ${result.missing.join(', ')}` : ''}`)
}

function summary(results: readonly DemoResult[]): string {
  const ms = (value: number | null): number | null => (value === null ? null : Math.round(value))
  return table(
    ['', 'said', 'tool', 'end of speech → first sound', 'barge-in → silence', 'step p95 ms'],
    results.map(r => [r.missing.length ? 'FAIL' : 'ok', r.said, r.tools.join(' '), ms(r.soundedMs ?? r.firstSoundMs), ms(r.silentMs ?? r.bargeInMs), r.stepP95]),
  )
}

export const command: Command = { summary: 'a conversation with recorded people, judged', help, run }
