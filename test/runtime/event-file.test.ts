import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { EventFile } from '../../runtime/cli/event-file.js'

const event = { at: 1, type: 'text', turn: 1, text: 'hello' } as const

t.test('a full disk costs events, which are counted and told once, and throws nothing', async t => {
  const told: string[] = []
  {
    using file = new EventFile('/dev/full', text => told.push(text)).open()
    for (let i = 0; i < 3; i++) t.doesNotThrow(() => file.write(event))
    t.match(told, [/\/dev\/full.*ENOSPC/])
    t.equal(told.length, 1)
  }
  t.same(told.slice(1), ['3 events are missing in /dev/full'])
})

t.test('each event is a line', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-events-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'events.jsonl')
  {
    using file = new EventFile(path, text => t.fail(text)).open()
    file.write(event)
    file.write(event)
  }
  const line = `${JSON.stringify(event)}\n`
  t.equal(await readFile(path, 'utf8'), line + line)
})

t.test('a place where nothing can be written is told when it is opened', async t => {
  t.throws(() => new EventFile('/nowhere/events.jsonl').open(), { code: 'events-write', message: /\/nowhere/ })
})
