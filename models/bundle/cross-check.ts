import type { GraphSpec, Manifest, StateSpec } from './schema.js'
import { checkTick } from './cross-check-tick.js'

/** Called with the field and what is wrong with it. */
export type Complain = (field: string, reason: string) => void

/** What a schema cannot say: names that must exist, sizes that must agree. Stops at nothing; the loader shows the first. */
export function crossCheck(m: Manifest, complain: Complain): void {
  const file = (field: string, path: string): void => {
    if (!Object.hasOwn(m.files, path)) complain(field, `${path} is not among files`)
  }
  const graph = (field: string, name: string | undefined): void => {
    if (name !== undefined && !Object.hasOwn(m.graphs, name)) complain(field, `there is no graph ${name}`)
  }
  const streams = new Set(m.streams.map(s => s.name))
  const stream = (field: string, name: string): void => {
    if (!streams.has(name)) complain(field, `there is no stream ${name}`)
  }

  file('tokenizer.file', m.tokenizer.file)
  file('golden.wav', m.golden.wav)
  if (streams.size !== m.streams.length) complain('streams', 'two have the same name')
  if (Object.keys(m.graphs).length === 0) complain('graphs', 'there is none')
  for (const [name, g] of Object.entries(m.graphs)) {
    for (const [kind, f] of Object.entries(g.files)) if (f) file(`graphs.${name}.files.${kind}.path`, f.path)
    checkStates(`graphs.${name}`, g, complain)
  }
  m.streams.forEach((s, i) => {
    const at = `streams.${i}.embed`
    if (s.embed.how === 'table') file(`${at}.file`, s.embed.file)
    if (s.embed.how === 'scatter') graph(`${at}.graph`, s.embed.graph)
    if (s.embed.how === 'scatter' && m.combine !== 'scatter') complain('combine', `stream ${s.name} is scattered, so expected scatter`)
  })
  for (const [name, { bias }] of Object.entries(m.sampling)) {
    stream(`sampling.${name}`, name)
    if (bias && m.streams.find(s => s.name === name)?.carries !== 'text-out') complain(`sampling.${name}.bias`, 'only the stream of what is said has one')
  }
  m.schedule.switch.forEach((s, i) => { stream(`schedule.switch.${i}.stream`, s.stream); stream(`schedule.switch.${i}.to`, s.to) })
  m.schedule.stop.forEach((s, i) => stream(`schedule.stop.${i}.stream`, s.stream))
  const { schedule, depth, codec } = m
  if (schedule.kind === 'parallel') {
    schedule.streams.forEach((s, i) => stream(`schedule.streams.${i}`, s))
    if (schedule.delays.length !== schedule.streams.length) complain('schedule.delays', `expected ${schedule.streams.length}, one for each stream`)
  }
  if (schedule.kind === 'thinker_talker') {
    graph('schedule.thinker', schedule.thinker)
    graph('schedule.talker', schedule.talker)
    graph('schedule.tokenToWave', schedule.tokenToWave)
  }
  if (depth.mode === 'autoregressive') {
    graph('depth.graph', depth.graph)
    if (depth.where === 'host' && !depth.graph) complain('depth.graph', 'expected one, because the host runs it')
    if (depth.codebooks !== codec.codebooks) complain('depth.codebooks', `expected ${codec.codebooks}, as the codec says`)
  }
  if (depth.mode === 'maskgit') {
    graph('depth.graph', depth.graph)
    if (depth.groups.reduce((a, b) => a + b, 0) !== codec.codebooks) complain('depth.groups', `expected a sum of ${codec.codebooks}, the codec's codebooks`)
  }
  const { repeats } = codec.flatten
  if (codec.flatten.order === 'coarse-to-fine' && repeats?.length !== codec.codebooks) complain('codec.flatten.repeats', `expected ${codec.codebooks}, one for each codebook`)
  if (Math.abs(codec.samplesPerFrame * codec.frameRate - codec.rate) > 1) complain('codec.samplesPerFrame', `${codec.samplesPerFrame} × ${codec.frameRate} frames a second are not ${codec.rate} Hz`)
  if (m.frontEnd.kind === 'mel' && !m.frontEnd.mel) complain('frontEnd.mel', 'expected its parameters')
  if (!m.voices.presets.some(v => v.name === m.voices.default)) complain('voices.default', `there is no preset ${m.voices.default}`)
  m.voices.presets.forEach((v, i) => { if (v.embedding) file(`voices.presets.${i}.embedding`, v.embedding) })
  checkTools(m, complain)
  if (schedule.kind === 'tick' && Object.values(m.graphs).some(g => g.role === 'step')) checkTick(m, complain)
}

function checkStates(where: string, g: GraphSpec, complain: Complain): void {
  const names = new Set<string>()
  g.states.forEach((s: StateSpec, i) => {
    const at = `${where}.states.${i}`
    if (names.has(s.name)) complain(`${at}.name`, `${s.name} stands twice`)
    names.add(s.name)
    const growing = s.shape.filter(d => d === 'grow').length
    if (growing !== (s.kind === 'kv-grow' ? 1 : 0)) complain(`${at}.shape`, s.kind === 'kv-grow' ? 'expected one axis "grow"' : 'only kv-grow may grow')
    if (s.reset === 'fact' && s.kind.startsWith('kv-')) complain(`${at}.reset`, `a ${s.kind} is the memory of facts itself; only conv, overlap and counter can begin anew with each fact`)
    if (s.reset === 'fact' && !g.context?.facts) complain(`${at}.reset`, 'only a graph whose context has slots for facts reads facts')
    if (s.kind !== 'kv-ring' && s.kind !== 'ring') return
    if (s.slotAxis === undefined || s.slotAxis >= s.shape.length) return complain(`${at}.slotAxis`, `expected an axis of its shape, 0 to ${s.shape.length - 1}`)
    if (s.kind === 'kv-ring') return
    if (s.reset !== 'session') complain(`${at}.reset`, 'a ring goes round for a whole session')
    if (s.slots === undefined || Number(s.shape[s.slotAxis]) % s.slots !== 0) complain(`${at}.slots`, `expected a divisor of ${s.shape[s.slotAxis]}, so that each run's lie together`)
  })
}

function checkTools(m: Manifest, complain: Complain): void {
  const names = new Set<string>()
  m.tools.forEach((tool, t) => {
    if (names.has(tool.name)) complain(`tools.${t}.name`, `${tool.name} stands twice`)
    names.add(tool.name)
    tool.args.forEach((arg, i) => {
      const at = `tools.${t}.args.${i}`
      if (tool.args.findIndex(a => a.name === arg.name) !== i) complain(`${at}.name`, `${arg.name} stands twice`)
      // nothing marks where words end and the next argument begins
      if (arg.type === 'words' && i !== tool.args.length - 1) complain(at, 'words can only be the last argument')
      if (arg.type === 'number' && arg.min > arg.max) complain(`${at}.min`, `${arg.min} is over the max, ${arg.max}`)
    })
  })
  const tool = m.golden.expect.tool
  if (tool && !names.has(tool.name)) complain('golden.expect.tool.name', `there is no tool ${tool.name}`)
}
