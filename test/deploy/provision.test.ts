import { execFile } from 'node:child_process'
import { cp, mkdtemp, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse } from 'smol-toml'
import t, { type Test } from 'tap'
import { provisionMain, type ProvisionHost } from '../../deploy/provision/main.js'
import type { SoundChecks } from '../../deploy/provision/checks.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import { Engines } from '../../runtime/compose/engines.js'
import { provisionEngine } from '../../runtime/compose/provision-engine.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Authority } from '../rig/authority.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const ANSWERS = 'device = "kiosk-7"\nsite = "north"\nvolume = 45\n[facts]\ncafe = "left of the entrance"\n[broker]\nurl = "mqtts://b.local:8884"\nca = "/etc/parley/keys/ca.pem"\ncert = "/etc/parley/keys/device.pem"\n'
const good: SoundChecks = { setVolume: async () => {}, speakAndListen: async () => ({ noiseDb: -55, heardDb: -20 }), echo: async () => ({ softerDb: 24, behind: 'canceller', heard: true }), golden: async () => ({ passed: true, firstSoundMs: 412 }) }

async function device(t: Test, answers = ANSWERS) {
  const root = await mkdtemp(join(tmpdir(), 'parley-provision-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, 'answers.toml'), answers)
  const lines: string[] = []
  const io = { out: (line: string) => void lines.push(line), wall: () => Date.UTC(2026, 5, 1, 9, 30) }
  return { root, lines, run: (host: ProvisionHost = {}, ...more: string[]) => provisionMain(['--root', root, '--from', join(root, 'answers.toml'), ...more], io, host), ask: (host: ProvisionHost) => provisionMain(['--root', root], io, host) }
}

t.test('from a file, without a person: settings, key, fallback and a summary', async t => {
  const { root, run, lines } = await device(t)
  t.equal(await run({ sound: good }), 0)
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), { facts: { cafe: 'left of the entrance' }, playout: { volume: 0.45 }, telemetry: { site: 'north', device: 'kiosk-7', broker: { key: '/etc/parley/keys/device.key' } } })
  t.equal((await stat(join(root, 'etc/parley/keys/device.key'))).mode & 0o777, 0o600)
  t.match(await readFile(join(root, 'etc/parley/fallback.env'), 'utf8'), "BROKER_PORT='8884'\nROOT_TOPIC='parley/v1/north/kiosk-7'\n")
  t.match(lines[0], /kiosk-7[\s\S]*first sound after 412 ms\nREADY$/)
})

t.test('run again, the key stays and what the owner wrote is kept', async t => {
  const { root, run } = await device(t)
  await mkdir(join(root, 'etc/parley'), { recursive: true })
  await writeFile(join(root, 'etc/parley/parley.toml'), '[facts]\nlift = "right"\n[echo]\nmode = "off"\n')
  await run()
  const key = await readFile(join(root, 'etc/parley/keys/device.key'), 'utf8')
  await run()
  t.equal(await readFile(join(root, 'etc/parley/keys/device.key'), 'utf8'), key)
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), { facts: { lift: 'right', cafe: /left/ }, echo: { mode: 'off' } })
})

t.test('a deaf microphone fails, a weak echo canceller warns, and both say what mends them', async t => {
  const { run, lines } = await device(t)
  t.equal(await run({ sound: { ...good, speakAndListen: async () => ({ noiseDb: -120, heardDb: -120 }), echo: async () => ({ softerDb: 4, behind: 'canceller', heard: true }) } }), 1)
  t.match(lines[0], /\[FAIL\] speaker and microphone.*digital silence\n.*alsamixer\n\[warn\] echo: reduced by 4 dB/)
  t.match(lines[0], /NOT READY$/)
})

t.test('without a canceller the figure is how much softer our own voice comes back, and it warns only where that is too little', async t => {
  const { run, lines } = await device(t)
  const seen = async (softerDb: number, heard = true): Promise<string> => {
    t.equal(await run({ sound: { ...good, echo: async () => ({ softerDb, behind: 'microphone', heard }) } }), 0)
    return lines.at(-1) ?? ''
  }
  t.match(await seen(31.4), /\[ ok \] echo: own voice comes back 31 dB softer than it was played\n/, 'a speakerphone that cancels by itself')
  t.match(await seen(28, false), /\[ ok \] echo: own voice is not heard over the room: at least 28 dB softer/)
  t.match(await seen(3), /\[warn\] echo: own voice comes back 3 dB softer .*; at least 12 are wanted\n +-> .*--audio pulse/)
  t.match(await seen(-6), /\[warn\] echo: own voice comes back 6 dB louder/)
  t.match(await seen(5, false), /\[warn\] echo: .*at least 5 dB softer.*\n +-> again in a quieter room/)
})

t.test('a check that throws fails alone', async t => {
  const { run, lines } = await device(t)
  t.equal(await run({ sound: { ...good, echo: async () => { throw new Error('busy') } } }), 1)
  t.match(lines[0], /\[FAIL\] echo: busy[\s\S]*\[ ok \] golden/)
})

t.test('on a Jetson the summary says which, and what it lacks', async t => {
  const { root, run, lines } = await device(t)
  await cp(fileURLToPath(new URL('../../../test/deploy/orin-nano', import.meta.url)), root, { recursive: true })
  t.equal(await run(), 0)
  t.match(lines[0], /\[ ok \] Jetson: NVIDIA Jetson Orin Nano.*TensorRT 10\.3/)
  await writeFile(join(root, 'var/lib/dpkg/status'), '')
  t.equal(await run(), 0)
  t.match(lines[1], /\[warn\] Jetson: .*TensorRT is missing.*\n +-> sudo apt-get install nvidia-jetpack/)
})

t.test('on a Jetson the bundle\'s engine is built first, told as it goes; a bundle without a graph for it needs none', async t => {
  const { root, run, lines } = await device(t)
  await cp(fileURLToPath(new URL('../../../test/deploy/orin-nano', import.meta.url)), root, { recursive: true })
  const trtexec = [process.execPath, fileURLToPath(new URL('../../../test/deploy/trtexec.mjs', import.meta.url))]
  const engines = new Engines(join(root, 'opt/parley/engines'), new LocalMachine(root, { trtexec }))
  await using bundle = await tinyBundle()
  const { signal } = new AbortController()
  const engine = (folder: string): ProvisionHost => ({ engine: tell => provisionEngine(engines, folder, tell, signal) })
  let ready: string | undefined
  t.equal(await run({ ...engine(bundle.folder), sound: { ...good, golden: async () => { ready = await engines.ready(bundle.folder); return good.golden() } } }), 0)
  t.match(ready, /\.onnx$/, 'the golden utterance is tried on it')
  t.same(lines.slice(0, -1).map(line => line.replace(/,.*/, '')), ['engine: parsing', 'engine: optimising', 'engine: saving'])
  t.match(lines.at(-1), /\[ ok \] engine: built for this bundle/)
  await run(engine(bundle.folder))
  t.match(lines.at(-1), /\[ ok \] engine: there already/)

  await using cpuOnly = await tinyBundle(manifest => { const step = manifest.graphs['step'] as { files: { any?: unknown; cpu?: unknown } }; step.files = { cpu: step.files.any } })
  await run(engine(cpuOnly.folder))
  t.match(lines.at(-1), /\[ ok \] engine: this bundle has no graph for TensorRT/)
  const broken = new Engines(join(root, 'elsewhere'), new LocalMachine(root, { trtexec: ['false'] }))
  t.equal(await run({ engine: tell => provisionEngine(broken, bundle.folder, tell, signal) }), 0, 'it talks without one')
  t.match(lines.at(-1), /\[warn\] engine: not built: .*trtexec ended with 1.*\n +-> sudo parley engines build[\s\S]*READY$/)
  const elsewhere = new Engines(join(root, 'elsewhere'), new LocalMachine('/nowhere'))
  await run({ engine: tell => provisionEngine(elsewhere, bundle.folder, tell, signal) })
  t.notMatch(lines.at(-1), /engine/, 'on another machine nothing is said of it')
})

t.test('--no-sound makes no noise', async t => {
  const { run } = await device(t)
  const fail = async (): Promise<never> => t.fail('made a noise') as never
  t.equal(await run({ sound: { setVolume: fail, speakAndListen: fail, echo: fail, golden: fail } }, '--no-sound'), 0)
})

t.test('a claim that is refused is told, and the device says it is not ready', async t => {
  const { run, lines } = await device(t)
  t.equal(await run({ claim: async () => { throw new Error('code was used') } }), 1)
  t.match(lines[0], /\[FAIL\] claim: code was used/)
})

t.test('missing answers are named before anything is written', async t => {
  const { run, root } = await device(t, 'site = "north"\n')
  await t.rejects(run(), { code: 'bad-config', message: /device/ })
  await t.rejects(stat(join(root, 'etc')), { code: 'ENOENT' })
})

/** A person who answers in turn, and presses return after that. */
const person = (...said: string[]): NonNullable<ProvisionHost['ask']> => async () => said.shift() ?? ''

t.test('a person is asked for everything, and what he presses return at is the default', async t => {
  const { root, ask, lines } = await device(t)
  t.equal(await ask({ ask: person('kiosk-9', 'south', 'opening hours: 8 to 20', 'cafe : left: of the entrance', '', 'mqtts://b.local:8883', '/etc/ca.pem', '', 'https://u.example/p', '35') }), 0)
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), {
    facts: { opening_hours: '8 to 20', cafe: 'left: of the entrance' }, playout: { volume: 0.35 }, update: { from: 'https://u.example/p' },
    telemetry: { site: 'south', device: 'kiosk-9', broker: { url: 'mqtts://b.local:8883', ca: '/etc/ca.pem' } },
  })
  t.match(lines.at(-1), /facts +opening_hours, cafe\n +broker +mqtts:\/\/b\.local:8883\n +updates +https/)
})

t.test('run again, what is set already is proposed and kept', async t => {
  const { root, run, ask } = await device(t)
  await run()
  const before = parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8'))
  const asked: string[] = []
  t.equal(await ask({ ask: async question => { asked.push(question); return '' } }), 0)
  for (const standard of ['[kiosk-7]', '[north]', '[mqtts://b.local:8884]', '[/etc/parley/keys/ca.pem]', '[45]']) t.ok(asked.some(q => q.includes(standard)), standard)
  t.same(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), before)
})

t.test('a wrong answer is told and asked for again, and not for ever', async t => {
  const { ask, lines } = await device(t)
  t.equal(await ask({ ask: person('kiosk 9!', 'kiosk-9', 'south', 'no colon', '', 'b.local', '-', '', '120', '50') }), 0)
  for (const words of [/1 to 40 letters/, /a name, a colon/, /an address such as mqtts/, /0 to 100/]) t.ok(lines.some(l => words.test(l)), String(words))
  await t.rejects(ask({ ask: async () => '???' }), { code: 'bad-config' })
})

t.test('the prompt is said again, louder or softer, until the person hears it well; that volume is kept', async t => {
  const { root, ask, lines } = await device(t)
  const volumes: number[] = []
  const sound = { ...good, setVolume: async (percent: number) => void volumes.push(percent) }
  t.equal(await ask({ sound, ask: person('k', 's', '', '', '', '50', 'louder', 'l', 'softer', '') }), 0)
  t.same(volumes, [50, 65, 80, 65])
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), { playout: { volume: 0.65 } })
  t.match(lines.at(-1), /volume +65 %/)
})

t.test('a claim in one file is taken to its place, and what is no claim is refused before anything is written', async t => {
  await using authority = await Authority.create()
  const claim = await authority.issue('claim/c-1')
  const { root, run } = await device(t)
  const file = join(root, 'stick.pem')
  const answer = (): Promise<void> => writeFile(join(root, 'answers.toml'), `device = "d"\nsite = "s"\nclaimFile = "${file}"\n[broker]\nurl = "mqtts://b.local"\n`)
  await answer()
  const text = async (...paths: string[]): Promise<string> => (await Promise.all(paths.map(path => readFile(path, 'utf8')))).join('')
  let used: string | undefined
  const host: ProvisionHost = { claim: async (_identity, answers) => { used = answers.claim; return { seen: 's/d' } } }

  const other = await authority.issue('lab/r1')
  for (const [wrong, why] of [[await text(claim.cert), /has no key/], [await text(claim.key), /has no certificate/], [await text(claim.cert, other.key), /do not belong together/], [await text(other.cert, other.key), /is no claim: CN=lab\/r1/]] as const) {
    await writeFile(file, wrong)
    await t.rejects(run(host), { code: 'bad-config', message: why })
    await t.rejects(stat(join(root, 'etc')), { code: 'ENOENT' })
  }
  await writeFile(file, await text(claim.cert, claim.key))
  t.equal(await run(host), 0)
  t.equal(used, 'c-1')
  t.equal((await stat(join(root, 'etc/parley/keys/claim.key'))).mode & 0o777, 0o600)
  t.equal((await readFile(join(root, 'etc/parley/keys/claim.pem'), 'utf8')).trim(), (await text(claim.cert)).trim())
})

t.test('answers that are piped into the command itself, a line each', async t => {
  const { root } = await device(t)
  const said = await piped(['--root', root, '--no-sound'], 'kiosk-9\nsouth\ncafe: left\n\n-\n\n45\n')
  t.equal(said.code, 0, said.err)
  t.match(said.out, /Name of this device.*Name of the site.*Volume in percent \[60\]: PARLEY\n +device +kiosk-9[\s\S]*READY\n$/s)
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), { facts: { cafe: 'left' }, playout: { volume: 0.45 } })
})

t.test('where nobody answers, the command says which question, and that a file is the way without a person', async t => {
  const { root } = await device(t)
  t.match(await piped(['--root', root, '--no-sound'], 'kiosk-9\n'), { code: 3, err: /nobody answered: Name of the site.*--from FILE/ })
})

t.test('the command builds the engine of the bundle that the device will run', async t => {
  const { root } = await device(t)
  await cp(fileURLToPath(new URL('../../../test/deploy/orin-nano', import.meta.url)), root, { recursive: true })
  await using bundle = await tinyBundle()
  await mkdir(join(root, 'etc/parley'), { recursive: true })
  await writeFile(join(root, 'etc/parley/parley.toml'), `[bundle]\npath = "${bundle.folder}"\n`)
  await mkdir(join(root, 'bin'))
  await writeFile(join(root, 'bin/trtexec'), `#!/bin/sh\nexec "${process.execPath}" "${fileURLToPath(new URL('../../../test/deploy/trtexec.mjs', import.meta.url))}" "$@"\n`, { mode: 0o755 })
  const { code, out } = await piped(['--root', root, '--from', join(root, 'answers.toml'), '--no-sound'], '', { PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}` })
  t.match(out, /^engine: parsing, 0 s\nengine: optimising, .*\nengine: saving, .*\nPARLEY\n[\s\S]*\[ ok \] engine: built for this bundle/m)
  t.equal(code, 0)
  t.ok((await readdir(join(root, 'opt/parley/engines'))).some(name => name.endsWith('.engine')))
})

function piped(args: readonly string[], input: string, env: NodeJS.ProcessEnv = {}): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, 'provision', ...args], { timeout: 60_000, env: { ...process.env, ...env } }, (error, out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }))
    child.stdin?.end(input)
  })
}

t.test('a person is asked when there is no file', async t => {
  const { ask, lines } = await device(t)
  t.equal(await ask({ ask: async question => (/device/.test(question) ? 'kiosk-9' : /site/.test(question) ? 'south' : '') }), 0)
  t.match(lines.at(-1), /kiosk-9[\s\S]*60 %/)
})

t.test('an answer cannot smuggle commands into the fallback\'s shell', async t => {
  const { run, root } = await device(t, ANSWERS.replace('"/etc/parley/keys/ca.pem"', JSON.stringify(`/x'; touch evil; echo '`)))
  await run()
  const { stdout } = await promisify(execFile)('sh', ['-c', '. ./etc/parley/fallback.env; printf %s "$CA"; ls'], { cwd: root })
  t.ok(stdout.startsWith("/x'; touch evil; echo '"), 'and it arrives whole')
  t.notMatch(stdout, /^evil$/m)
})

t.test('user, password file and certificate of the owner\'s own lines reach the fallback, and no password is written or said', async t => {
  const { root, run, lines } = await device(t, 'device = "d"\nsite = "s"\n[broker]\nurl = "mqtt://b.local"\n')
  await mkdir(join(root, 'etc/parley'), { recursive: true })
  await writeFile(join(root, 'password'), 'hunter2\n', { mode: 0o600 })
  await writeFile(join(root, 'etc/parley/parley.toml'), `[telemetry.broker]\nusername = "o'brien"\npasswordFile = "${root}/password"\ncert = "/own.pem"\nkey = "/own.key"\n`)
  t.equal(await run(), 0)
  const path = join(root, 'etc/parley/fallback.env')
  const { stdout } = await promisify(execFile)('sh', ['-c', '. "$0"; echo "$BROKER_USER $PASSWORD_FILE $CERT $KEY"', path])
  t.equal(stdout, `o'brien ${root}/password /own.pem /own.key\n`)
  t.notMatch((await readFile(path, 'utf8')) + lines.join(''), 'hunter2')
  t.equal((await stat(path)).mode & 0o777, 0o640)
})

t.test('what the service must read belongs to its group, also when it is written again', { skip: process.getuid?.() === 0 ? false : 'only root can give files away' }, async t => {
  const { root, run } = await device(t)
  await mkdir(join(root, 'etc'), { recursive: true })
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nparley:x:4242:\n')
  for (let n = 0; n < 2; n++) {
    await run()
    for (const name of ['parley.toml', 'fallback.env']) {
      const { uid, gid, mode } = await stat(join(root, 'etc/parley', name))
      t.same([uid, gid, mode & 0o777], [0, 4242, 0o640], name)
    }
  }
})

t.test('a certificate that a claim brought is the one that the device and its fallback show', async t => {
  const { root, run } = await device(t, 'device = "d"\nsite = "s"\nclaim = "code"\n[broker]\nurl = "mqtts://b.local"\n')
  t.equal(await run({ claim: async () => ({ seen: 's/d', cert: '/etc/parley/keys/device.pem' }) }), 0)
  t.match(parse(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8')), { telemetry: { broker: { cert: '/etc/parley/keys/device.pem', key: '/etc/parley/keys/device.key' } } })
  const env = await readFile(join(root, 'etc/parley/fallback.env'), 'utf8')
  t.match(env, "CERT='/etc/parley/keys/device.pem'")
  t.match(env, "CAPATH='/etc/ssl/certs'", 'TLS also without a CA of its own')
})
