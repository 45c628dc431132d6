import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import t from 'tap'
import { decode, encode, type Fields } from '../../runtime/telemetry/sparkplug/protobuf.js'
import { MESSAGES } from '../../runtime/telemetry/sparkplug/schema.generated.js'

/** From dist/test/telemetry to the source. */
const SOURCE = new URL('../../../runtime/telemetry/sparkplug/', import.meta.url)

interface Generated { encode(fields: object): { finish(): Uint8Array }; decode(bytes: Uint8Array): object; toObject(message: object, options: object): object }
type Namespace = { [name: string]: Generated & Namespace }

/** What Eclipse Tahu generated from sparkplug_b.proto, with another generator and another codec. */
const theirs = (createRequire(import.meta.url)('sparkplug-payload/lib/sparkplugPayloadProto.js') as { org: { eclipse: { tahu: { protobuf: Namespace } } } }).org.eclipse.tahu.protobuf
const theirsOf = (name: string): Generated => name.split('.').reduce((at, part) => at[part]!, theirs) as Generated & Namespace

/** A message with every field set; those within others to this depth. */
function full(name: string, depth: number): Fields {
  const sample: Record<string, unknown> = { string: 'größer', uint32: 4_294_967_295, uint64: 2n ** 63n + 1n, bool: true, float: 0.5, double: -1.25, bytes: Buffer.from([0, 255]) }
  return Object.fromEntries(MESSAGES[name as keyof typeof MESSAGES].flatMap(field => {
    if (!(field.type in sample) && depth === 0) return []
    const value = sample[field.type] ?? full(field.type, depth - 1)
    return [[field.name, 'repeated' in field ? [value, value] : value]]
  }))
}

/** With the numbers as protobufjs wants and gives them. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? String(v) : v)))

t.test('the committed schema is what the generator makes of Eclipse\'s code for sparkplug_b.proto', async t => {
  const { generate } = await import(new URL('generate.mjs', SOURCE).href) as { generate(): string }
  t.equal(await readFile(new URL('schema.generated.ts', SOURCE), 'utf8'), generate(), 'else: node runtime/telemetry/sparkplug/generate.mjs')
})

for (const name of Object.keys(MESSAGES)) {
  t.test(`another implementation reads every field of ${name} as we wrote it, and we read what it writes`, t => {
    const message = full(name, 2)
    const bytes = encode(MESSAGES, name, message)
    const read = theirsOf(name).toObject(theirsOf(name).decode(bytes), { longs: String, bytes: Buffer })
    t.same(plain(read), plain(message))
    t.same(decode(MESSAGES, name, Buffer.from(theirsOf(name).encode(theirsOf(name).decode(bytes)).finish())), message)
    t.end()
  })
}

t.test('a message that nests without end is refused, not followed', t => {
  let bytes: Buffer = Buffer.alloc(0)
  for (let n = 0; n < 1_000; n++) {
    const template = encode({ Metric: [{ number: 18, name: 'x', type: 'bytes' }] }, 'Metric', { x: bytes })
    bytes = encode({ Template: [{ number: 2, name: 'x', type: 'bytes' }] }, 'Template', { x: template })
  }
  t.throws(() => decode(MESSAGES, 'Payload', bytes), RangeError)
  t.end()
})
