import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Bundle } from '../../models/bundle/index.js'
import { loadBundle } from '../../models/bundle/index.js'
import { EngineSession, openSession, type OpenOptions } from '../../models/engine/index.js'
import { openOn } from '../../models/engine/open.js'
import { stepSpecOf } from '../../models/engine/step-spec.js'
import type { Said, Tick } from '../../models/session.js'
import { tick, tinyBundle, tinyTokenizer } from './tiny-bundle.js'
import { ATTENDED } from './tiny-graph.js'

t.setTimeout(60_000)
const tiny = await tinyBundle()
t.teardown(() => tiny[Symbol.asyncDispose]())
const bundle: Bundle = await loadBundle(tiny.folder, { cacheFolder: tiny.folder })
const tokenizer = tinyTokenizer()
const open = (options: OpenOptions = {}): Promise<EngineSession> => openSession(bundle, { providers: ['cpu'], cacheFolder: tiny.folder, ...options })

const alive = (pid: number | undefined): boolean => {
  try {
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}
async function until(what: () => boolean, ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!what()) {
    if (performance.now() > end) throw new Error('it did not happen in time')
    await delay(5)
  }
}
const codeOf = (work: Promise<unknown>): Promise<unknown> => work.then(() => 'fine', (error: { code?: string; name?: string }) => error.code ?? error.name)

t.test('a reply comes out as words, sound, a call and its marks', async t => {
  await using session = await open({ selfTest: 'always' })
  t.match(session, { name: 'tiny', provider: 'cpu', inputRate: 16_000, outputRate: 16_000, tickSamples: 1280, respawns: 0 })
  const said: Said[] = []
  for (let n = 0; n < 12; n++) said.push(await session.step(tick(n * 80, n === 1 ? { say: '<style:calm>' } : {})))
  t.equal(said.map(s => s.text).join(''), ' hello there')
  t.same(said.flatMap(s => s.call ?? []), [{ name: 'move', args: { direction: 'forward', metres: 2 } }])
  t.same(said.map(s => s.mark ?? '-').join(' '), '- begin - - - - - - end - - -')
  t.same(said.map(s => s.style ?? '-').slice(0, 3), ['-', 'calm', '-'])
  t.same(said.map(s => s.at), said.map((_, n) => n * 80))
  t.equal(said[0]?.speech, undefined)
  t.equal(said[3]?.speech?.length, 1280)
})

t.test('SIGKILL in the middle of a reply: the pending step is lost, the next goes on in a new child that knows the facts', async t => {
  const respawned: string[] = []
  await using session = await open({ onRespawn: (_, reason) => respawned.push(reason) })
  await session.setFacts(['battery: 9'])
  const fresh = await session.step(tick(0, { speak: true }))
  await session.step(tick(80, { say: '<style:calm>' }))
  t.equal((await session.step(tick(160))).text, ' hello')
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP') // so that the step is surely pending
  const lost = codeOf(session.step(tick(240)))
  process.kill(pid, 'SIGKILL')
  t.equal(await lost, 'engine-lost')
  const said = await session.step(tick(320, { speak: true }))
  t.same(said.speech, fresh.speech, 'the same as the first tick after the facts')
  t.equal(said.mark, 'begin', 'the broken reply is forgotten')
  t.equal(session.respawns, 1)
  t.not(session.pid, pid)
  t.match(respawned, [/SIGKILL/])
})

t.test('a stuck child is killed and replaced', async t => {
  await using session = await open({ stuckMs: 500 })
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP')
  const started = performance.now()
  t.equal(await codeOf(session.step(tick(0))), 'engine-lost')
  t.ok(performance.now() - started < 2_000, 'found soon after its limit')
  t.equal((await session.step(tick(80))).at, 80)
  await until(() => !alive(pid))
})

t.test('an idle child that is stuck is found without anybody asking it anything', async t => {
  await using session = await open({ stuckMs: 300 })
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP')
  await until(() => session.respawns === 1, 5_000)
  t.equal((await session.step(tick(0))).at, 0)
})

t.test('killed at random twenty times, every step is answered or lost, in order', async t => {
  await using session = await open()
  let answered = 0
  let lost = 0
  for (let n = 0; n < 20; n++) {
    const steps = Array.from({ length: 6 }, (_, k) => codeOf(session.step(tick(n * 6 + k))))
    await delay(Math.random() * 4)
    const { pid } = session
    if (pid) process.kill(pid, 'SIGKILL')
    for (const result of await Promise.all(steps)) {
      if (result === 'fine') answered++
      else if (result === 'engine-lost') lost++
      else t.fail(`ended as ${String(result)}`)
    }
  }
  t.equal(answered + lost, 120)
  t.ok(session.respawns >= 10, `${session.respawns} respawns, ${lost} steps lost`)
  t.equal((await session.step(tick(0))).at, 0)
})

t.test('at most two steps are with the child; the others wait, in order', async t => {
  await using session = await open()
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP')
  const order: number[] = []
  const steps = Array.from({ length: 10 }, (_, n) => session.step(tick(n)).then(said => { order.push(said.at) }, () => { order.push(-n) }))
  process.kill(pid, 'SIGKILL')
  await Promise.all(steps)
  t.same(order.filter(x => x < 0).length + (Object.is(order[0], -0) ? 1 : 0), 2, 'only those with the child were lost')
  t.same(order.slice(2), [2, 3, 4, 5, 6, 7, 8, 9])
})

t.test('more ticks than five seconds are refused, not stored', async t => {
  await using session = await open()
  process.kill(session.pid as number, 'SIGSTOP')
  const steps = Array.from({ length: 80 }, (_, n) => codeOf(session.step(tick(n))))
  t.equal(await steps[79], 'engine-busy')
  process.kill(session.pid as number, 'SIGCONT')
  const results = await Promise.all(steps)
  t.equal(results.filter(r => r === 'fine').length, 66)
  t.equal(results.filter(r => r === 'engine-busy').length, 14)
})

t.test('an aborted step rejects at once, whether it waits, is with the child, or was late', async t => {
  await using session = await open()
  process.kill(session.pid as number, 'SIGSTOP')
  const stop = new AbortController()
  const steps = Array.from({ length: 4 }, (_, n) => codeOf(session.step(tick(n), stop.signal)))
  stop.abort()
  t.same(await Promise.all(steps), Array(4).fill(20)) // DOMException's code of an abort
  t.equal(await codeOf(session.step(tick(9), stop.signal)), 20)
  process.kill(session.pid as number, 'SIGCONT')
  t.equal((await session.step(tick(10))).at, 10, 'credit came back')
  t.equal(session.respawns, 0)
})

t.test('a cancelled step that had not begun is not run', async t => {
  await using session = await open()
  process.kill(session.pid as number, 'SIGSTOP')
  const stop = new AbortController()
  const first = session.step(tick(0, { level: 1 }))
  const second = codeOf(session.step(tick(1, { level: 2 }), stop.signal))
  stop.abort()
  process.kill(session.pid as number, 'SIGCONT')
  await Promise.all([first, second])
  const said = await session.step(tick(2, { speak: true, level: 3 }))
  t.same([...(said.speech as Float32Array).subarray(ATTENDED, ATTENDED + 3)], [0, 1, 3], 'the ear never heard the second')
})

t.test('facts and lines told while the child is lost reach the next one', async t => {
  await using session = await open()
  await session.setFacts(['battery: 9'])
  session.tell('battery 9')
  process.kill(session.pid as number, 'SIGKILL')
  session.tell('ping', 'typed')
  await session.setFacts(['restroom: left'])
  const read: string[] = []
  for (let n = 0; n < 8; n++) read.push(tokenizer.pieces[(await session.step(tick(0, { speak: true }))).speech?.[ATTENDED + 6] as number] as string)
  t.same(read, ['<event>', '▁battery', '▁9', '<end>', '<typed>', '▁ping', '<end>', '<none>'])
})

t.test('facts that the model cannot hold are refused, and a respawn brings back the last good ones', async t => {
  await using session = await open()
  await session.setFacts(['battery: 9'])
  const before = (await session.step(tick(0, { speak: true }))).speech
  t.equal(await codeOf(session.setFacts(Array<string>(9).fill('battery: 9'))), 'facts-too-long')
  process.kill(session.pid as number, 'SIGKILL')
  await until(() => session.respawns === 1)
  t.same((await session.step(tick(0, { speak: true }))).speech, before)
})

t.test('closing ends the child and rejects what waits; closing again does nothing', async t => {
  const session = await open()
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP')
  const pending = [codeOf(session.step(tick(0))), codeOf(session.step(tick(1))), codeOf(session.step(tick(2))), codeOf(session.setFacts([]))]
  await session[Symbol.asyncDispose]()
  await session[Symbol.asyncDispose]()
  t.same(await Promise.all(pending), Array(4).fill('engine-closed'))
  t.notOk(alive(pid))
  t.equal(await codeOf(session.step(tick(3))), 'engine-closed')
})

t.test('what is told after a reset outlives the child, though that one had just read what the reset took back', async t => {
  await using session = await open()
  session.tell('ping', 'typed')
  for (const n of [1, 2]) await session.step(tick(n))
  const third = session.step(tick(3)) // it ends the line: the child says so when the reset was asked for already
  const resetting = session.reset()
  session.tell('battery 9')
  await Promise.all([third, resetting])
  process.kill(session.pid as number, 'SIGKILL')
  const read: string[] = []
  await until(() => session.respawns === 1)
  for (let n = 0; n < 5; n++) read.push(tokenizer.pieces[(await session.step(tick(0, { speak: true }))).speech?.[ATTENDED + 6] as number] as string)
  t.same(read, ['<event>', '▁battery', '▁9', '<end>', '<none>'])
})

t.test('a tick of the wrong length is refused without reaching the child', async t => {
  await using session = await open()
  t.equal(await codeOf(session.step({ at: 0, audio: new Float32Array(3) })), 'tick-size')
})

t.test('a graph that is not what the manifest says is refused when it is opened', async t => {
  await using wrong = await tinyBundle(manifest => { const state = manifest.graphs['step']?.states.find(s => s.name === 'ear'); if (state) state.shape = [1, 4] })
  const error = await openSession(wrong.folder, { cacheFolder: wrong.folder, providers: ['cpu'] }).then(() => undefined, (e: Error) => e)
  t.match(error, { code: 'no-provider', message: /input ear is float32 1 × 3/ })
})

t.test('the last provider is kept though it fails the golden utterance, and that is told', async t => {
  await using wrong = await tinyBundle(manifest => { manifest.golden.expect.words.push('muffin') })
  const told: string[] = []
  await using session = await openSession(wrong.folder, { cacheFolder: wrong.folder, providers: ['cpu'], onFailed: error => told.push(error.message) })
  t.match(told, [/failed on cpu: the word muffin/])
  t.match(await session.step(tick(0)), { stepMs: Number })
})

t.test('a golden utterance that fails refuses the provider', async t => {
  await using wrong = await tinyBundle(manifest => { manifest.golden.expect.words.push('muffin') })
  const error = await openSession(wrong.folder, { cacheFolder: wrong.folder, selfTest: 'always', providers: ['cpu'] }).then(() => undefined, (e: Error) => e)
  t.match(error, { code: 'golden-failed', message: /the word muffin/ })
})

t.test('a provider that answers the golden utterance wrong is a refused rung: its process is ended, and the next one talks', async t => {
  /** What a broken GPU would be: it loads, it runs, and what it says is nothing. */
  class Wrong extends EngineSession {
    override get provider(): string {
      return 'cuda'
    }

    override async step(of: Tick): Promise<Said> {
      return { ...(await super.step(of)), text: '', speech: undefined }
    }
  }
  const pids: (number | undefined)[] = []
  await using session = await openOn(bundle, { cacheFolder: tiny.folder, providers: ['cuda', 'cpu'] }, [], (spec, options, refused) => {
    if (pids.length > 0) return new EngineSession(spec, options, refused)
    const wrong = new Wrong({ ...spec, rungs: spec.rungs.slice(1) }, { ...options, onRespawn: () => t.fail('it was started again') })
    void until(() => wrong.pid !== undefined).then(() => pids.push(wrong.pid))
    return wrong
  })
  t.equal(session.provider, 'cpu')
  t.match(session.refusals, [{ provider: 'cuda', reason: /the golden utterance failed on cuda: the word hello/ }])
  t.equal(pids.length, 1)
  t.notOk(alive(pids[0]), 'the first one is gone')
  t.match((await session.step(tick(0))).text, '')
})

t.test('an opening that is broken off leaves no process, and no other provider is tried', async t => {
  const closing = new AbortController()
  const made: EngineSession[] = []
  const opening = openOn(bundle, { cacheFolder: tiny.folder, providers: ['cuda', 'cpu'], signal: closing.signal }, [], (...of) => {
    made.push(new EngineSession(...of))
    return made[0] as EngineSession
  })
  await until(() => made[0]?.pid !== undefined)
  const pid = made[0]?.pid
  closing.abort(new Error('nobody needs it any more'))
  await t.rejects(opening, { message: 'nobody needs it any more' })
  await until(() => !alive(pid))
  t.equal(made.length, 1)
})

t.test('a child that does not load in its time is given up', async t => {
  const session = new EngineSession(stepSpecOf(bundle, { providers: ['cpu'] }), { startMs: { cpu: 300 } })
  const opening = codeOf(session.open())
  const pid = session.pid as number
  process.kill(pid, 'SIGSTOP')
  t.equal(await opening, 'engine-dead')
  await until(() => !alive(pid))
  t.equal(await codeOf(session.step(tick(0))), 'engine-dead')
})

t.test('when the parent is killed, the child ends too', async t => {
  const { spawn } = await import('node:child_process')
  const url = new URL('../../models/engine/index.js', import.meta.url).href
  const script = `const { openSession } = await import(${JSON.stringify(url)}); const s = await openSession(${JSON.stringify(tiny.folder)}, { providers: ['cpu'] }); console.log(s.pid); setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], PARLEY_CACHE: tiny.folder } })
  const pid = await new Promise<number>(resolve => parent.stdout.on('data', (chunk: Buffer) => resolve(Number(chunk.toString()))))
  t.ok(alive(pid))
  parent.kill('SIGKILL')
  await until(() => !alive(pid), 3_000)
})
