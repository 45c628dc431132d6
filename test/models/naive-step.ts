import { Rope } from '../../models/engine/rope.js'
import { ATTENDED, TINY, tinyTables } from './tiny-graph.js'

/** One token in the context: what it was, how loud, and where. */
export interface Seen {
  readonly token: number
  readonly level: number
  readonly position: number
}

const { layers, heads, headSize } = TINY

/** What the tiny graph's attention must give for a live step, from all facts and the last W ticks, in doubles and with no ring at all. */
export function naiveAttention(vocabulary: number, facts: readonly Seen[], stream: readonly Seen[], now: Seen): number[] {
  const tables = tinyTables(vocabulary)
  const row = (table: Float32Array, { token, level }: Seen, l: number, h: number): number[] => {
    const from = token * ATTENDED + (l * heads + h) * headSize
    return [...table.subarray(from, from + headSize)].map(x => x * (1 + level))
  }
  const out: number[] = []
  for (let l = 0; l < layers; l++) {
    for (let h = 0; h < heads; h++) {
      const query = row(tables.queries, now, l, h)
      const [byFacts, byStream] = [rotate(query, facts.length), rotate(query, now.position)]
      const all = [...facts.map(s => ({ s, q: byFacts })), ...stream.map(s => ({ s, q: byStream })), { s: now, q: byStream }]
      const scores = all.map(({ s, q }) => dot(q, rotate(row(tables.keys, s, l, h), s.position)))
      const top = Math.max(...scores)
      const weights = scores.map(x => Math.exp(x - top))
      const sum = weights.reduce((a, b) => a + b, 0)
      for (let e = 0; e < headSize; e++) out.push(all.reduce((v, { s }, i) => v + (row(tables.values, s, l, h)[e] as number) * ((weights[i] as number) / sum), 0))
    }
  }
  return out
}

function rotate(x: readonly number[], position: number): number[] {
  const half = headSize / 2
  const angles = new Float32Array(headSize)
  new Rope(headSize, 10_000).write(angles, position)
  return x.map((_, i) => {
    const k = i % half
    const [a, b, cos, sin] = [x[k] as number, x[k + half] as number, angles[k] as number, angles[half + k] as number]
    return i < half ? a * cos - b * sin : a * sin + b * cos
  })
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0)
}
