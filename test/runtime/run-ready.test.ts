import { execFileSync, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { tinyBundle } from '../models/tiny-bundle.js'
import { listener, noPython } from '../rig/service-manager.js'
import { Folder, eventually, wait } from '../telemetry/kit.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
/** So long the microphone below is open and gives nothing, ms. */
const DEAF_MS = 4_000
/** A little more than the time after which more time for the start would be asked for again, ms. */
const OVER_MS = 11_000
t.setTimeout(120_000)

/** A voice as the service manager starts it, with this microphone: what it says to the manager and when its model was open, Unix ms. */
async function started(t: Test, folder: string, bundle: string, microphone: string) {
  const socket = join(folder, 'notify')
  const next = await listener(t, socket)
  await writeFile(join(folder, 'run.toml'), `[microphone]\n${microphone}\n[speaker]\ndriver = "null"\n[bundle]\npath = "${bundle}"\n`)
  const said: { readonly text: string; readonly at: number }[] = []
  const child = spawn(process.execPath, [MAIN, 'run', '--config', 'run.toml'], { cwd: folder, env: { ...process.env, NOTIFY_SOCKET: socket, PARLEY_CACHE: join(folder, 'cache') }, stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => void child.kill('SIGKILL'))
  let loadedAt: number | undefined
  createInterface({ input: child.stderr }).on('line', line => { if (line.includes('the model is loaded')) loadedAt = Date.now() })
  void (async () => { for (;;) said.push({ text: await next(), at: Date.now() }) })().catch(() => {}) // the test is over
  const first = (line: string): number | undefined => said.find(s => s.text.includes(line))?.at
  await eventually('the model is open', () => loadedAt !== undefined, 60_000)
  return { said, first, loadedAt: loadedAt as unknown as number }
}

t.test('a microphone that is open and gives nothing is not READY; with its first frame it is', { skip: noPython }, async t => {
  await using folder = await Folder.make()
  await using bundle = await tinyBundle()
  const { first, loadedAt } = await started(t, folder.path, bundle.folder, `driver = "fake"\nrepeat = true\nscript = [{ ms = ${DEAF_MS}, lost = true }, { ms = 60000 }]`)
  t.equal(first('READY=1'), undefined, 'nothing was heard yet')
  await eventually('READY', () => first('READY=1') !== undefined)
  const deafMs = (first('READY=1') ?? 0) - loadedAt
  t.ok(deafMs >= DEAF_MS, `READY ${deafMs} ms after the model was open`)
})

t.test('a microphone that hangs when it is opened gets no more time for the start once the model is open', { skip: noPython }, async t => {
  await using folder = await Folder.make()
  await using bundle = await tinyBundle()
  const pipe = join(folder.path, 'pipe.wav') // without somebody who writes, opening it waits for ever
  execFileSync('mkfifo', [pipe])
  const { said, first, loadedAt } = await started(t, folder.path, bundle.folder, `driver = "wav"\npath = "${pipe}"`)
  await wait(OVER_MS)
  t.ok(first('EXTEND_TIMEOUT_USEC'), 'the model was given time')
  t.same(said.filter(s => s.text.includes('EXTEND_TIMEOUT_USEC') && s.at > loadedAt + 500), [], 'and the microphone none') // 500: a message on its way
  t.equal(first('READY=1'), undefined)
})
