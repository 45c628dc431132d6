import { readFile } from 'node:fs/promises'
import t from 'tap'
import { manifestJsonSchema, parseManifest } from '../../models/bundle/index.js'
import { SHAPES } from './shapes.js'

for (const shape of SHAPES) {
  t.test(`the format can express ${shape.name}`, async t => {
    const manifest = parseManifest(JSON.stringify(shape))
    t.equal(manifest.name, shape.name)
    t.equal(manifest.schedule.kind, shape.schedule.kind)
    t.same(parseManifest(JSON.stringify(manifest)), manifest, 'with its defaults filled in it is the same')
  })
}

t.test('the example of the documentation is a valid tick bundle', async t => {
  const text = await readFile(new URL('../../../docs/bundle-example.json', import.meta.url), 'utf8')
  const manifest = parseManifest(text)
  t.equal(manifest.schedule.kind, 'tick')
  t.same(manifest.graphs['step']?.context, { layers: 6, heads: 4, headSize: 64, facts: 512, stream: 768, ropeTheta: 10_000 })
})

t.test('the JSON Schema is made from the same definition', async t => {
  const schema = manifestJsonSchema() as { properties: Record<string, unknown>; required: string[] }
  t.ok(schema.properties['graphs'] && schema.properties['schedule'])
  t.ok(schema.required.includes('golden'))
  t.notOk(schema.required.includes('styles'), 'what has a default may be left out')
})

t.test('what a schema cannot say is checked: the field and the reason are named', async t => {
  const example = JSON.parse(await readFile(new URL('../../../docs/bundle-example.json', import.meta.url), 'utf8')) as Record<string, any>
  const cases: [RegExp, (m: Record<string, any>) => void][] = [
    [/tokenizer\.file: other\.json is not among files/, m => { m['tokenizer'].file = 'other.json' }],
    [/graphs\.step\.states\.0\.shape: expected 1 × 4 × 64 × 1280/, m => { m['graphs'].step.states[0].shape[3] = 1279 }],
    [/graphs\.step\.states: expected 12/, m => { m['graphs'].step.states.shift() }],
    [/states\.0\.reset: a kv-ring is the memory of facts itself/, m => { m['graphs'].step.states[0].reset = 'fact' }],
    [/states\.12\.reset: expected tick, turn, session or fact/, m => { m['graphs'].step.states[12].reset = 'facts' }],
    [/states\.\d+\.reset: only a graph whose context has slots for facts/, m => { m['graphs'].step.context.facts = 0; for (const s of m['graphs'].step.states) if (s.kind === 'kv-ring') s.shape[s.slotAxis] = 768 }],
    [/states\.12\.slotAxis: expected an axis/, m => { Object.assign(m['graphs'].step.states[12], { kind: 'ring', slots: 1 }) }],
    [/states\.12\.slots: expected a divisor of/, m => { const s = m['graphs'].step.states[12]; Object.assign(s, { kind: 'ring', reset: 'session', slotAxis: 0, slots: s.shape[0] + 1 }) }],
    [/states\.12\.reset: a ring goes round for a whole session/, m => { Object.assign(m['graphs'].step.states[12], { kind: 'ring', reset: 'turn', slotAxis: 0, slots: 1 }) }],
    [/states\.1\.name: k0 stands twice/, m => { m['graphs'].step.states[1].name = 'k0' }],
    [/codec\.samplesPerFrame/, m => { m['codec'].samplesPerFrame = 1281 }],
    [/frontEnd\.samplesPerStep: expected 1280/, m => { m['frontEnd'].samplesPerStep = 640 }],
    [/depth\.codebooks: expected 4/, m => { m['depth'].codebooks = 8 }],
    [/tools\.0\.args\.0: words can only be the last argument/, m => { m['tools'][0].args.push({ name: 'n', type: 'number' }) }],
    [/tokens\.cut: a step graph expects this piece/, m => { delete m['tokens'].cut }],
    [/voices\.default/, m => { m['voices'].default = 'nobody' }],
    [/golden\.expect\.tool\.name: there is no tool fly/, m => { m['golden'].expect.tool = { name: 'fly' } }],
    [/schedule\.stop\.0\.stream: there is no stream song/, m => { m['schedule'].stop[0].stream = 'song' }],
    [/golden\.expect: expected words or a tool/, m => { m['golden'].expect = {} }],
    [/sampling\.codes\.bias: only the stream of what is said/, m => { m['sampling'].codes.bias = { begin: 0, cut: 1 } }],
    [/temperature: expected 4/, m => { m['sampling'].codes.temperature = [1] }],
  ]
  for (const [expected, spoil] of cases) {
    const copy = structuredClone(example)
    spoil(copy)
    t.throws(() => parseManifest(JSON.stringify(copy), '/b/bundle.json'), { code: 'bundle-bad', message: expected })
  }
})
