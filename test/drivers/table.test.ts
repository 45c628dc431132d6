import t from 'tap'
import { drivers, loadDriver, openDriver, type Kind } from '../../drivers/table.js'
import { host } from './kit.js'

t.test('every row of the table loads and exports a schema and an open', async t => {
  for (const [kind, rows] of Object.entries(drivers)) {
    // Loading the speaker's library aborts the process where there is no sound; its module must not load it by itself.
    for (const type of Object.keys(rows)) {
      const module = await loadDriver(kind as Kind, type)
      t.equal(typeof module.open, 'function', `${kind} ${type}`)
      t.equal(typeof module.schema.safeParse, 'function', `${kind} ${type}`)
    }
  }
})

t.test('an unknown type is refused with the list of those known', async t => {
  await t.rejects(openDriver('sensor', 'batery', {}, host().host), { code: 'unknown-driver', hint: 'Known: battery, thermal, button, file, command, fake' })
  await t.rejects(openDriver('sensor', 'constructor', {}, host().host), { code: 'unknown-driver' }, 'a name that every object has')
})

t.test('a wrong value is refused with its key, the value and what was expected', async t => {
  await t.rejects(openDriver('camera', 'fake', { fps: 900 }, host().host), { code: 'bad-config', message: /fps = 900: .*60/ })
  await t.rejects(openDriver('sensor', 'file', {}, host().host), { code: 'bad-config', message: /path is missing: .*string/ })
})

t.test('a key that the driver does not have is refused by its name', async t => {
  await t.rejects(openDriver('camera', 'fake', { framerate: 5 }, host().host), { code: 'bad-config', message: /framerate is not a key/ })
})

t.test('a source that would be an option of ffmpeg is refused', async t => {
  await t.rejects(openDriver('camera', 'ffmpeg', { source: '-filter_complex' }, host().host), { code: 'bad-config', message: /source = "-filter_complex"/ })
})
