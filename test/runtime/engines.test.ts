import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import { Engines } from '../../runtime/compose/engines.js'
import { tinyBundle } from '../models/tiny-bundle.js'

const RECORDED = new URL('../../../test/deploy/', import.meta.url).pathname
const { signal } = new AbortController()

t.test('an engine is built once for a bundle, found at the next start, and goes when nothing uses it', async t => {
  const root = await mkdtemp(join(tmpdir(), 'parley-engines-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await cp(join(RECORDED, 'orin-nano'), root, { recursive: true })
  await using bundle = await tinyBundle()
  const cache = join(root, 'engines')
  const engines = new Engines(cache, new LocalMachine(root, { trtexec: [process.execPath, join(RECORDED, 'trtexec.mjs')] }))
  t.equal(await engines.ready(bundle.folder), undefined, 'nothing is built')
  const phases: string[] = []
  t.equal(await engines.build(bundle.folder, systemClock, p => phases.push(p.phase), signal), 'built')
  t.ok(phases.includes('parsing') && phases.includes('saving'))
  const wrapper = await engines.ready(bundle.folder)
  t.match(wrapper, /sm87-trt10\.3\.0\.30-[0-9a-f]{24}\.onnx$/)
  t.match((await readFile(wrapper!)).toString('latin1'), /EPContext/)
  t.equal(await engines.build(bundle.folder, systemClock, () => {}, signal), 'there', 'the second time nothing is built')
  t.match(await engines.list(bundle.folder), [{ used: true }])

  await t.test('another version of TensorRT finds none', async t => {
    const status = join(root, 'var/lib/dpkg/status')
    const text = await readFile(status, 'utf8')
    await writeFile(status, text.replaceAll('10.3.0.30', '10.16.0.1'))
    t.equal(await engines.ready(bundle.folder), undefined)
    await writeFile(status, text)
  })
  t.same(await engines.clear(bundle.folder), [], 'what is used stays')
  t.equal((await engines.clear(undefined)).length, 1)
  t.notOk((await readdir(cache)).some(n => n.endsWith('.engine')))
  t.equal(await engines.ready(bundle.folder), undefined)
})

t.test('a machine without TensorRT has nothing to build', async t => {
  await using bundle = await tinyBundle()
  const engines = new Engines('/nowhere', new LocalMachine('/nowhere'))
  t.equal(await engines.build(bundle.folder, systemClock, () => {}, signal), 'none')
  t.equal(await engines.ready(bundle.folder), undefined)
  t.same(await engines.list(bundle.folder), [])
})
