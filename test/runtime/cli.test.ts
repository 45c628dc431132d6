import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../runtime/cli/command.js'
import { conversationEvent } from '../../runtime/conversation/events.js'
import { usageOf } from '../../runtime/health/processes.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { tinyBundle } from '../models/tiny-bundle.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const bundle = await tinyBundle()
const folder = await mkdtemp(join(tmpdir(), 'parley-cli-'))
t.teardown(async () => {
  await bundle[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

function parley(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, ...args], { cwd: folder, timeout: 60_000 }, (error, out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }))
  })
}

t.test('converse: a recording in, words, a call and a WAV out; every line has its documented form', async t => {
  await writeFile(join(folder, 'site.toml'), '[facts]\nrestroom = "left"\n[readings]\nbattery = 9\n')
  const result = await parley('converse', '--in', join(bundle.folder, 'golden.wav'), '--facts', 'site.toml', '--out', 'reply.wav', '--events', 'events.jsonl', '--pace', 'fast', '--bundle', bundle.folder)
  t.equal(result.code, 0, result.err)
  const events = (await readFile(join(folder, 'events.jsonl'), 'utf8')).trim().split('\n').map(line => conversationEvent.parse(JSON.parse(line)))
  t.ok(events.some(e => e.type === 'reading' && e.source === 'battery' && e.value === 9))
  t.same(events.filter(e => e.type === 'tool').map(e => [e.name, e.args]), [['move', { direction: 'forward', metres: 2 }]])
  t.equal(events.filter(e => e.type === 'text').map(e => e.text).join('').trim(), 'hello there')
  t.equal(events.find(e => e.type === 'turn')?.text, 'hello there')
  t.equal((await readFile(join(folder, 'reply.wav'))).subarray(0, 4).toString(), 'RIFF')
})

t.test('converse --text takes a typed turn', async t => {
  const { code, out } = await parley('converse', '--text', 'ping', '--pace', 'fast', '--json', '--bundle', bundle.folder)
  t.equal(code, 0)
  t.match((JSON.parse(out) as { text: string }[])[0]?.text, 'pong')
})

t.test('exit codes say what kind of mistake it was', async t => {
  const cases: [number, string[], RegExp][] = [
    [2, ['sing'], /no command "sing"/],
    [2, ['converse'], /--in or --text/],
    [2, ['converse', '--in', 'x.wav', '--pace', 'slow'], /real or fast/],
    [2, ['converse', '--text', ' '], /--text is empty/],
    [3, ['converse', '--text', 'ping', '--pace', 'fast', '--events', '/dev/full', '--bundle', bundle.folder], /events are missing in \/dev\/full/],
    [3, ['converse', '--text', 'ping', '--pace', 'fast', '--out', folder, '--bundle', bundle.folder], /it is a folder/],
    [2, ['converse', '--inn', 'x.wav'], /--inn/],
    [3, ['converse', '--in', 'nowhere.wav', '--bundle', bundle.folder], /nowhere\.wav/],
    [6, ['converse', '--text', 'hi', '--bundle', 'nowhere'], /no bundle at/],
    [3, ['converse', '--text', 'hi', '--facts', 'nowhere.toml'], /nowhere\.toml/],
    [3, ['check-config', '--config', 'nowhere.toml'], /nowhere\.toml/],
    [3, ['demo', '--script', 'nowhere.toml'], /nowhere\.toml/],
  ]
  for (const [code, args, words] of cases) {
    const result = await parley(...args)
    t.equal(result.code, code, args.join(' '))
    t.match(result.err, words)
    t.notMatch(result.err, /^\s+at /m, 'no stack for a person\'s mistake')
  }
})

t.test('every exit code is told by --help', async t => {
  const { out } = await parley('--help')
  t.same([...out.matchAll(/^ {2}(\d+) {2}/gm)].map(m => Number(m[1])), Object.values(EXIT).sort((a, b) => a - b))
})

t.test('every command has --help, and lists print JSON', async t => {
  for (const name of ['run', 'demo', 'converse', 'doctor', 'check-config', 'bench', 'devices']) {
    const { code, out } = await parley(name, '--help')
    t.equal(code, 0)
    t.match(out, new RegExp(`^parley ${name}`))
    t.match(out, /Exit codes:/)
  }
  t.ok(JSON.parse((await parley('devices', '--json')).out))
  t.match(JSON.parse((await parley('check-config', '--json')).out), { ok: true })
  t.ok(JSON.parse((await parley('check-config', '--schema')).out))
})

// The second round through a sound server, with its recorder and player programs; the third is stopped while it starts.
for (const round of [1, 2, 3]) {
  t.test(`SIGTERM closes everything within 2 s and leaves no process (${round})`, async t => {
    await using server = round === 2 ? await SoundServer.start() : undefined
    await writeFile(join(folder, 'run.toml'), `${server ? '' : '[microphone]\ndriver = "fake"\nrepeat = true\n[speaker]\ndriver = "null"\n'}[sensors.battery]\ndriver = "fake"\n[camera]\ndriver = "fake"\n`)
    const child = spawn(process.execPath, [MAIN, 'run', '--config', 'run.toml', '--bundle', bundle.folder], { cwd: folder, env: { ...process.env, ...server?.env, PARLEY_LOG: 'info' }, stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    child.stderr.on('data', (bytes: Buffer) => { words += bytes.toString() })
    const exit = new Promise<number | null>(resolve => child.once('exit', resolve))
    for (let waited = 0; waited < 10_000 && (round === 3 ? waited < 150 : !words.includes('listening')); waited += 50) await new Promise(resolve => setTimeout(resolve, 50))
    const pids = pidsBelow(child.pid ?? 0)
    if (round < 3) t.ok(usageOf(child.pid ?? 0).processes >= (server ? 4 : 2), `the model, the recorder and the player have their own processes (${words.slice(0, 200)})`)
    const startedAt = performance.now()
    child.kill('SIGTERM')
    t.equal(await exit, round === 3 ? child.exitCode : 0, words)
    t.ok(performance.now() - startedAt < 2_000, `${Math.round(performance.now() - startedAt)} ms`)
    for (const end = performance.now() + 2_000; pids.some(alive) && performance.now() < end;) await new Promise(resolve => setTimeout(resolve, 20))
    t.same(pids.filter(alive), [], 'no process is left')
  })
}

/** All below a process, by /proc (proc(5)). */
function pidsBelow(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
    return children.flatMap(child => [child, ...pidsBelow(child)])
  } catch {
    return [] // it has ended
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
