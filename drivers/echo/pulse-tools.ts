import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { ParleyError, isMissing } from '../../base/errors.js'
import { MIC_RATE } from '../../base/frames.js'
import { fromPcm16, toPcm16 } from '../../base/pcm.js'

const run = promisify(execFile)
const FORMAT = ['--raw', '--format=s16le', `--rate=${MIC_RATE}`, '--channels=1']

/** Asks the sound server (PulseAudio, or PipeWire in its place). Throws `missing-program`, or `sound-server` when none answers. */
export async function pactl(...args: string[]): Promise<string> {
  try {
    return (await run('pactl', args, { timeout: 3_000, env: { ...process.env, LC_ALL: 'C' } })).stdout
  } catch (error) {
    if (isMissing(error)) throw new ParleyError('missing-program', 'pactl is not installed', { cause: error, hint: 'apt-get install pulseaudio-utils' })
    throw new ParleyError('sound-server', `the sound server refused: pactl ${args.join(' ')}`, { cause: error, hint: 'Does it run? `pactl info` tells.' })
  }
}

/** The columns of `pactl list short <what>`. */
export async function listShort(what: 'modules' | 'sources' | 'sinks'): Promise<string[][]> {
  return (await pactl('list', 'short', what)).split('\n').filter(Boolean).map(line => line.split('\t'))
}

/** The stable name of the server's default device. Throws `device-missing`. */
export async function defaultOf(what: 'source' | 'sink'): Promise<string> {
  const name = (await pactl(`get-default-${what}`)).trim()
  if (!name || name === '@NONE@') throw new ParleyError('device-missing', `the sound server has no ${what}`)
  return name
}

/** Plays mono 16 kHz samples to the end. */
export async function playInto(sink: string, samples: Float32Array): Promise<void> {
  const child = spawn('pacat', ['--playback', ...FORMAT, `--device=${sink}`], { stdio: ['pipe', 'ignore', 'ignore'] })
  child.stdin.on('error', () => {}) // a player that ended: its exit tells
  child.stdin.end(toPcm16(samples))
  await once(child, 'exit')
}

/** Records from a source until told to stop; the samples at 16 kHz mono. */
export function recordFrom(source: string): { stop(): Promise<Float32Array> } {
  const child = spawn('parec', [...FORMAT, `--device=${source}`, '--latency-msec=20'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => chunks.push(bytes))
  const gone = once(child, 'exit')
  return {
    async stop() {
      child.kill('SIGKILL')
      await gone
      return fromPcm16(Buffer.concat(chunks))
    },
  }
}
