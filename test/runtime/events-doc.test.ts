import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { PACKAGE } from '../../runtime/cli/paths.js'
import { ENGINE_CODES, PART_CODES, conversationEvent, turnEvent } from '../../runtime/conversation/events.js'
import { FAILED_CALL } from '../../runtime/tools/dispatcher.js'

const doc = await readFile(join(PACKAGE, 'docs/events.md'), 'utf8')
const section = (name: string): string => doc.split(/^## /m).find(part => part.startsWith(name)) ?? ''
/** The first cell of each row of a section's table, its names. */
const named = (text: string): Set<string> => new Set([...text.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(row => [...(row[1] ?? '').matchAll(/`([^`]+)`/g)].map(name => name[1] ?? '')))

t.test('every line of the example is one that the schema takes', async t => {
  const lines = /```json\n([^]*?)```/.exec(section('Example'))?.[1]?.trim().split('\n') ?? []
  t.ok(lines.length > 5)
  for (const line of lines) t.same(conversationEvent.safeParse(JSON.parse(line)).error?.issues, undefined, line.slice(0, 80))
})

t.test('every type of line and every field of a turn is described', async t => {
  const types = conversationEvent.options.map(option => option.shape.type.value)
  t.same(types.filter(type => !named(section('Lines')).has(type)), [])
  t.same(Object.keys(turnEvent.shape).filter(field => !['type', 'turn'].includes(field) && !named(section('`turn`')).has(field)), [])
})

t.test('every code that an error can have is described', async t => {
  const codes = named(section('Error codes'))
  t.same([...ENGINE_CODES, ...PART_CODES, FAILED_CALL].filter(code => !codes.has(code)), [], 'of the model and the parts')
  const thrown = new Map<string, string>()
  for (const folder of ['drivers/actuators', 'runtime/tools', 'runtime/mqtt']) {
    for (const file of await readdir(join(PACKAGE, folder))) {
      if (file === 'fake.ts') continue // throws what a test tells it
      for (const [, code = ''] of (await readFile(join(PACKAGE, folder, file), 'utf8')).matchAll(/new ParleyError\('([a-z-]+)'/g)) thrown.set(code, `${folder}/${file}`)
    }
  }
  // `over` tidies up after a call that has ended; `no-mqtt` and `bad-config` refuse the start.
  for (const code of ['over', 'no-mqtt', 'bad-config']) thrown.delete(code)
  t.ok(thrown.size >= 8)
  t.same([...thrown].filter(([code]) => !codes.has(code)), [], 'of calls')
})
