import type { Complain } from './cross-check.js'
import type { Manifest } from './schema.js'

/** The inputs of the step graph that are not states (models/README.md). */
const RINGS = 2

/** A `tick` bundle with one step graph must say all that the engine of models/README.md needs. */
export function checkTick(m: Manifest, complain: Complain): void {
  const [name, step] = Object.entries(m.graphs).find(([, g]) => g.role === 'step') as [string, Manifest['graphs'][string]]
  const at = `graphs.${name}`
  if (m.schedule.kind !== 'tick') return
  if (m.tokenizer.kind !== 'pieces') complain('tokenizer.kind', 'a step graph expects pieces')
  for (const token of ['none', 'endOfTurn', 'cut', 'end', 'fact', 'factSeparator', 'typed', 'event', 'call', 'style'] as const) {
    if (typeof m.tokens[token] !== 'string') complain(`tokens.${token}`, 'a step graph expects this piece')
  }
  for (const token of ['call', 'style'] as const) if (!String(m.tokens[token]).includes('*')) complain(`tokens.${token}`, 'expected a * where the name stands')
  if (m.codec.silentCode === undefined) complain('codec.silentCode', 'a step graph expects the id that means silence')
  if (m.depth.mode !== 'autoregressive' || m.depth.where !== 'graph') complain('depth', 'a step graph expects autoregressive in the graph')
  if (m.frontEnd.kind !== 'waveform') complain('frontEnd.kind', 'a step graph expects waveform')
  const samples = (m.frontEnd.rate * m.schedule.ms) / 1_000
  if (m.frontEnd.samplesPerStep !== samples) complain('frontEnd.samplesPerStep', `expected ${samples}: ${m.schedule.ms} ms of ${m.frontEnd.rate} Hz`)
  if (m.codec.samplesPerFrame !== (m.codec.rate * m.schedule.ms) / 1_000) complain('codec.samplesPerFrame', `expected one tick, ${(m.codec.rate * m.schedule.ms) / 1_000}`)
  const codes = m.streams.find(s => s.carries === 'codes-out')
  const temperature = codes && m.sampling[codes.name]?.temperature
  if (Array.isArray(temperature) && temperature.length !== m.codec.codebooks) complain(`sampling.${codes?.name}.temperature`, `expected ${m.codec.codebooks}`)
  const context = step.context
  if (!context) return complain(`${at}.context`, 'a step graph expects it')
  if (context.headSize % 2) complain(`${at}.context.headSize`, 'expected an even number, for rotary positions')
  const { layers, heads, headSize, facts, stream } = context
  const rings = step.states.filter(s => s.kind === 'kv-ring')
  if (rings.length !== layers * RINGS) complain(`${at}.states`, `expected ${layers * RINGS} of kind kv-ring, keys and values of ${layers} layers`)
  step.states.forEach((s, i) => {
    const field = `${at}.states.${i}`
    if (s.kind === 'kv-grow') complain(`${field}.kind`, 'a step graph has static shapes')
    if (s.dtype !== 'float32') complain(`${field}.dtype`, 'a step graph expects float32')
    if (s.kind !== 'kv-ring') return
    const want = s.slotAxis === 3 ? [1, heads, headSize, facts + stream] : s.slotAxis === 2 ? [1, heads, facts + stream, headSize] : undefined
    if (!want) return complain(`${field}.slotAxis`, 'expected 3 for keys, 2 for values')
    if (want.some((d, k) => d !== s.shape[k]) || s.shape.length !== 4) complain(`${field}.shape`, `expected ${want.join(' × ')}`)
    if (s.slice === undefined || s.slice >= layers) complain(`${field}.slice`, `expected its layer, 0 to ${layers - 1}`)
  })
}
