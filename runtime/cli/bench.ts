import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cpus } from 'node:os'
import { loadBundle } from '../../models/bundle/load.js'
import { benchIdle, type IdleBench } from '../bench/idle.js'
import { benchSteps } from '../bench/steps.js'
import { benchTalk } from '../bench/talk.js'
import { EXIT, parse, say, usage, type Command } from './command.js'
import { PACKAGE, bundlePath } from './paths.js'

const help = `
parley bench [--bundle DIR] [--steps N] [--seconds N] [--rounds N] [--stage room|file]

Measures on this machine and prints JSON: steps on one thread, silent and spoken ticks apart, against a bare session.run
loop over the same graph with the inputs of such a tick in the same run, the real-time factor, the cold start, memory
and idle processor of all processes, and with the demo's recordings the end of speech → first sound and barge-in → silence.

  --steps N     default 500        --seconds N   of idling, default 10
  --rounds N    of the demo, default 5; 0 leaves it out
  --stage KIND  room (default): through a private sound server; file: without

Exit codes: 0 measured, 4 something is missing here, 6 a damaged bundle, 7 the model does not run.`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, {
    bundle: { type: 'string' }, steps: { type: 'string', default: '500' }, seconds: { type: 'string', default: '10' }, rounds: { type: 'string', default: '5' },
    stage: { type: 'string', default: 'room' }, json: { type: 'boolean', default: true },
  })
  const whole = (name: 'steps' | 'seconds' | 'rounds', least: number): number => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < least) throw usage(`--${name} is a whole number from ${least}, not ${values[name]}`)
    return value
  }
  const [steps, seconds, rounds] = [whole('steps', 10), whole('seconds', 1), whole('rounds', 0)]
  if (values.stage !== 'room' && values.stage !== 'file') throw usage('--stage is room or file')
  const folder = bundlePath(values.bundle)
  const bundle = await loadBundle(folder)
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  const step = await benchSteps(bundle, steps)
  const idle = await benchIdleIn(values.stage, main, folder, seconds)
  const talk = rounds ? await benchTalk(main, folder, join(PACKAGE, 'test/fixtures/demo.toml'), values.stage, rounds) : 'left out'
  say(JSON.stringify({ machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`, node: process.versions.node, bundle: `${bundle.manifest.name} ${bundle.manifest.version}`, step, idle, talk }, null, 2))
  return EXIT.ok
}

async function benchIdleIn(stage: 'room' | 'file', main: string, bundle: string, seconds: number): Promise<IdleBench> {
  if (stage === 'file') {
    const silence = '[microphone]\ndriver = "fake"\nrepeat = true\nscript = [{ ms = 1000, level = 0.001, noise = true }]\n[speaker]\ndriver = "null"\n'
    return benchIdle(main, bundle, silence, 'no sound server: a fake microphone', seconds, process.env)
  }
  const { SoundServer } = await import('../../drivers/room/sound-server.js')
  await using server = await SoundServer.start()
  return await benchIdle(main, bundle, '[microphone]\ndriver = "pulse"\n', 'through a sound server', seconds, { ...process.env, ...server.env })
}

export const command: Command = { summary: 'measures this machine', help, run }
