import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { end } from '../../base/kill.js'
import { quantile, round } from '../conversation/statistics.js'
import { NOT_STOPPED, type DemoResult } from '../demo/judge.js'

export interface TalkBench {
  readonly stage: string
  readonly turns: number
  /** End of the person's speech → first sound, ms. */
  readonly firstSoundMs: { readonly p50: number | null; readonly p95: number | null }
  /** Of that, what is not the model's own onset: capture, the step, playout, the sound server. */
  readonly overOnsetMs: { readonly p50: number | null; readonly p95: number | null }
  /** Onset of the speech that interrupts → silence, ms. */
  readonly bargeInMs: { readonly p50: number | null; readonly p95: number | null }
  /** Interruptions, and how many of them did not stop the answer: those have no time above. */
  readonly bargeIns: number
  readonly notStopped: number
  /** Holes in the speech of all turns: the speaker had run out of sound. */
  readonly gaps: number
  readonly allTurnsGood: boolean
}

interface Talk { readonly ok: boolean; readonly stage: string; readonly turns: readonly DemoResult[] }

const LIMIT_MS = 300_000 // a talk takes a minute

/** The demo's conversation, `rounds` times, at most `limitMs` each, for its latencies. A string says why there are none. */
export async function benchTalk(main: string, bundle: string, script: string, stage: string, rounds: number, limitMs = LIMIT_MS): Promise<TalkBench | string> {
  if (!existsSync(script)) return `there are no recordings: ${script} does not exist`
  const talks: Talk[] = []
  for (let i = 0; i < rounds; i++) {
    const talk = await demo([main, 'demo', '--json', '--stage', stage, '--script', script, '--bundle', bundle], limitMs)
    if (typeof talk === 'string') return talk
    talks.push(talk)
  }
  const turns = talks.flatMap(t => t.turns)
  const sounded = (r: DemoResult): number | null => r.soundedMs ?? r.firstSoundMs
  const of = (pick: (r: DemoResult) => number | null): TalkBench['bargeInMs'] => {
    const values = turns.map(pick).filter((v): v is number => v !== null)
    return { p50: round(quantile(values, 0.5)), p95: round(quantile(values, 0.95)) }
  }
  const stopped = turns.filter(r => r.bargeInMs !== null).length
  const notStopped = turns.filter(r => r.missing.includes(NOT_STOPPED)).length
  return { stage: talks[0]?.stage ?? stage, turns: turns.length, firstSoundMs: of(sounded), overOnsetMs: of(r => { const at = sounded(r); return at === null || r.onsetMs === null ? null : at - r.onsetMs }), bargeInMs: of(r => r.silentMs ?? r.bargeInMs), bargeIns: stopped + notStopped, notStopped, gaps: turns.reduce((n, r) => n + r.gaps, 0), allTurnsGood: talks.every(t => t.ok) }
}

async function demo(args: string[], limitMs: number): Promise<Talk | string> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const limit = setTimeout(() => void end(child), limitMs)
  let [out, err] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => { out += bytes.toString() })
  child.stderr.on('data', (bytes: Buffer) => { err = (err + bytes.toString()).slice(-1_000) })
  await once(child, 'close')
  clearTimeout(limit)
  if (child.killed) return `the demo did not end within ${limitMs / 1000} s: ${err}`
  try {
    return JSON.parse(out) as Talk
  } catch {
    return `the demo gave no result: ${err}`
  }
}
