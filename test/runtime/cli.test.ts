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

t.test('converse takes a configuration, and the bundle that it names, only when it is told to', async t => {
  await writeFile(join(folder, 'parley.toml'), `[bundle]\npath = "${bundle.folder}"\n[tools]\nallow = []\n`)
  t.teardown(() => rm(join(folder, 'parley.toml')))
  const calls = async (...more: string[]): Promise<unknown> => {
    const { code, out, err } = await parley('converse', '--in', join(bundle.folder, 'golden.wav'), '--pace', 'fast', '--json', ...more)
    t.equal(code, 0, err)
    return (JSON.parse(out) as { tools: { ok: boolean }[] }[]).flatMap(turn => turn.tools.map(call => call.ok))
  }
  t.same(await calls('--bundle', bundle.folder), [true], 'the file that lies there is not read')
  t.same(await calls('--config', 'parley.toml'), [false], 'the file that was named is')
  const nowhere = await parley('converse', '--text', 'ping', '--config', 'nowhere.toml')
  t.equal(nowhere.code, 3)
  t.match(nowhere.err, /nowhere\.toml/)
  t.match((await parley('converse', '--help')).out, /--config FILE[^]*Exit codes:[^]*\b4 something is missing/)
})

t.test('exit codes say what kind of mistake it was', async t => {
  await writeFile(join(folder, 'no-ca.toml'), '[update]\nca = "/nowhere/ca.pem"\n')
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
    [3, ['check-config', '--config', 'no-ca.toml'], /update\.ca = "\/nowhere\/ca\.pem": expected .*there is no /],
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
    // A group of its own: whatever it starts, and whenever, is in it.
    const child = spawn(process.execPath, [MAIN, 'run', '--config', 'run.toml', '--bundle', bundle.folder], { cwd: folder, detached: true, env: { ...process.env, ...server?.env, PARLEY_LOG: 'info' }, stdio: ['ignore', 'ignore', 'pipe'] })
    const group = child.pid ?? 0
    t.teardown(() => { if (alive(-group)) process.kill(-group, 'SIGKILL') })
    let words = ''
    child.stderr.on('data', (bytes: Buffer) => { words += bytes.toString() })
    const exit = new Promise<unknown>(resolve => child.once('exit', (code, signal) => resolve(signal ?? code)))
    for (let waited = 0; waited < 10_000 && (round === 3 ? waited < 150 : !words.includes('listening')); waited += 50) await new Promise(resolve => setTimeout(resolve, 50))
    if (round < 3) t.ok(usageOf(group).processes >= (server ? 4 : 2), `the model, the recorder and the player have their own processes (${words.slice(0, 200)})`)
    const others = pidsBelow(group)
    t.same(others.filter(pid => groupOf(pid) !== group), [], 'all are in its group')
    const startedAt = performance.now()
    child.kill('SIGTERM')
    while (alive(-group) && performance.now() - startedAt < 2_000) await new Promise(resolve => setTimeout(resolve, 10))
    const tookMs = Math.round(performance.now() - startedAt)
    t.notOk(alive(-group), `its whole group is gone after ${tookMs} ms`)
    // Stopped before it could even listen to signals, it is ended by this one.
    const ended = await exit
    if (round === 3 && ended === 'SIGTERM') t.pass('it had not begun')
    else t.equal(ended, 0, words)
  })
}

/** Of a process, by /proc (proc(5)). */
function groupOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[2])
  } catch {
    return undefined // it has ended
  }
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

/** A process, or with a negative number any of a group. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
