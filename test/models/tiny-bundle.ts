import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeWav } from '../../base/wav.js'
import type { Manifest } from '../../models/bundle/index.js'
import { Tokenizer } from '../../models/tokenizer/tokenizer.js'
import { TINY, tinyGraph } from './tiny-graph.js'

const WORDS = ['hello', 'there', 'forward', 'back', 'left', 'right', 'around', 'gift', 'shop', 'muffin', 'ping', 'pong', 'battery', 'restroom']
const SPECIALS = ['<none>', '<eot>', '<cut>', '<end>', '<fact>', '<typed>', '<event>', '<call:move>', '<call:goto>', '<call:order>', '<call:stop>', '<style:calm>', '<reserved0>']

export function tinyTokenizer(): Tokenizer {
  const { pieces, merges } = tinyPieces()
  return new Tokenizer(pieces, merges)
}

function tinyPieces(): { pieces: string[]; merges: [string, string][] } {
  const two = Array.from({ length: 100 }, (_, i) => String(i).padStart(2, '0'))
  const one = Array.from({ length: 10 }, (_, i) => String(i))
  const pieces = new Set([...SPECIALS, ...[...one, ...two].flatMap(d => [`▁${d}`, d]), ':', '.', '▁', ..."abcdefghijklmnopqrstuvwxyz'"])
  const merges: [string, string][] = []
  for (const word of WORDS) {
    // each word grows from its front, so that no word's merges touch another's
    for (let i = 0; i < word.length; i++) {
      const left = `▁${word.slice(0, i)}`
      if (!pieces.has(left + word[i])) merges.push([left, word[i] as string])
      pieces.add(left + word[i])
    }
  }
  return { pieces: [...pieces], merges }
}

const tokens = tinyTokenizer()
/** The number of a piece of the tiny tokenizer. */
export function id(piece: string): number {
  const found = tokens.id(piece)
  if (found === undefined) throw new Error(`the tiny tokenizer has no ${piece}`)
  return found
}

/** What follows what: a reply of two words and a call. */
const CHAIN = ['<style:calm>', '▁hello', '▁there', '<call:move>', '▁forward', '▁2', '<end>', '<eot>']

export interface TinyBundle extends AsyncDisposable {
  readonly folder: string
  readonly manifest: Manifest
}

/** Writes a bundle with the tiny step graph into a temporary folder. `change` may spoil the manifest. */
export async function tinyBundle(change: (manifest: Manifest) => void = () => {}): Promise<TinyBundle> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-tiny-'))
  const chain: Record<number, number> = {}
  CHAIN.forEach((piece, i) => { if (CHAIN[i + 1]) chain[id(piece)] = id(CHAIN[i + 1] as string) })
  chain[id('▁pong')] = id('<eot>')
  await writeFile(join(folder, 'step.onnx'), tinyGraph(tokens.size, chain, { [id('▁ping')]: id('▁pong') }, id('▁hello')))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tinyPieces()))
  const golden = new Float32Array(3 * TINY.samples)
  golden[TINY.samples] = id('<style:calm>') / 1_000 // the second tick says: begin
  await writeWav(join(folder, 'golden.wav'), { rate: 16_000, samples: golden })
  const files: Manifest['files'] = {}
  for (const file of ['step.onnx', 'tokenizer.json', 'golden.wav']) {
    files[file] = { bytes: (await stat(join(folder, file))).size, sha256: createHash('sha256').update(await readFile(join(folder, file))).digest('hex') }
  }
  const manifest = tinyManifest(files)
  change(manifest)
  await writeFile(join(folder, 'bundle.json'), JSON.stringify(manifest, null, 2))
  return { folder, manifest, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

function tinyManifest(files: Manifest['files']): Manifest {
  const { layers, heads, headSize, facts, stream, codebooks, codes } = TINY
  const ring = { dtype: 'float32', kind: 'kv-ring', reset: 'session' } as const
  return {
    schema: 1, name: 'tiny', version: '0.0.1', licence: 'Apache-2.0', files,
    tokenizer: { kind: 'pieces', file: 'tokenizer.json', size: tokens.size },
    graphs: {
      step: {
        role: 'step',
        files: { any: { path: 'step.onnx', precision: 'fp32' } },
        context: { layers, heads, headSize, facts, stream, ropeTheta: 10_000 },
        states: [
          ...Array.from({ length: layers }, (_, slice) => [
            { ...ring, name: `k${slice}`, output: 'k_new', shape: [1, heads, headSize, facts + stream], slotAxis: 3, slice },
            { ...ring, name: `v${slice}`, output: 'v_new', shape: [1, heads, facts + stream, headSize], slotAxis: 2, slice },
          ]).flat(),
          { name: 'ear', output: 'ear_new', dtype: 'float32', shape: [1, 3], kind: 'conv', reset: 'session' },
          { name: 'codec', output: 'codec_new', dtype: 'float32', shape: [1, 1], kind: 'counter', reset: 'turn' },
          { name: 'fact_trace', output: 'fact_trace_new', dtype: 'float32', shape: [1, 2], kind: 'conv', reset: 'fact' },
          { name: 'past', output: 'past_new', dtype: 'float32', shape: [1, 2, 6], kind: 'ring', reset: 'session', slotAxis: 2, slots: 2 },
        ],
      },
    },
    streams: [
      { name: 'sound', carries: 'audio-in', embed: { how: 'graph', input: 'audio' }, reserved: false },
      { name: 'channel', carries: 'text-in', embed: { how: 'graph', input: 'text_in' }, vocabulary: tokens.size, reserved: false },
      { name: 'text', carries: 'text-out', embed: { how: 'graph', input: 'text_prev' }, vocabulary: tokens.size, reserved: false },
      { name: 'heard', carries: 'heard-out', embed: { how: 'graph', input: 'heard_prev' }, vocabulary: tokens.size, reserved: false },
      { name: 'codes', carries: 'codes-out', embed: { how: 'graph', input: 'codes_prev' }, vocabulary: codes, reserved: false },
    ],
    combine: 'graph',
    schedule: { kind: 'tick', ms: 80, switch: [], stop: [{ token: '<eot>', stream: 'text' }], precedence: ['stop', 'cut', 'call'] },
    depth: { mode: 'autoregressive', codebooks, where: 'graph', conditionedOn: ['hidden'] },
    codec: { rate: 16_000, frameRate: 12.5, codebooks, codes, samplesPerFrame: 1280, silentCode: codes, flatten: { order: 'frame' }, overlap: 0, lookahead: 0 },
    frontEnd: { rate: 16_000, kind: 'waveform', samplesPerStep: 1280 },
    sampling: { text: { method: 'greedy', temperature: 0 }, codes: { method: 'gumbel', temperature: [1, 1, 0.5, 0] } },
    voices: { default: 'tiny', presets: [{ name: 'tiny' }] },
    tokens: { none: '<none>', endOfTurn: '<eot>', cut: '<cut>', end: '<end>', fact: '<fact>', factSeparator: ':', typed: '<typed>', event: '<event>', call: '<call:*>', style: '<style:*>' },
    styles: ['calm'],
    tools: [
      { name: 'move', args: [{ name: 'direction', type: 'enum', values: ['forward', 'back'] }, { name: 'metres', type: 'number', min: 1, max: 99, decimals: 0 }] },
      { name: 'goto', args: [{ name: 'place', type: 'words', maxPieces: 8 }] },
      { name: 'order', args: [{ name: 'quantity', type: 'number', min: 1, max: 250, decimals: 0 }, { name: 'item', type: 'words', maxPieces: 8 }] },
      { name: 'stop', args: [] },
    ],
    golden: { wav: 'golden.wav', facts: [], expect: { words: ['hello', 'there'], tool: { name: 'move', args: { direction: 'forward', metres: 2 } } }, withinMs: 2_000 },
  }
}

/** One tick: `say` forces the text, `speak` makes sound come out, `level` is what the keys and values are scaled by. */
export function tick(at: number, { say = '', speak = false, level = 0 }: { say?: string; speak?: boolean; level?: number } = {}): { at: number; audio: Float32Array } {
  const audio = new Float32Array(TINY.samples)
  if (say) audio[0] = id(say) / 1_000
  if (speak) audio[1] = 1
  audio[2] = level
  return { at, audio }
}
