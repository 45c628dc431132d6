import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ParleyError } from '../../base/errors.js'
import type { Finding, Seen } from '../../base/finding.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { runCheck } from '../../runtime/doctor/check.js'
import { configSchema } from '../../runtime/config/schema.js'
import { configurationRefused, machineSeen } from '../../runtime/doctor/machine-checks.js'
import { modelChecks, type Placed } from '../../runtime/doctor/model-checks.js'
import { noCanceller, unbuiltSpeaker } from '../../runtime/doctor/sound-checks.js'
import { tinyBundle } from '../models/tiny-bundle.js'

t.setTimeout(120_000)

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'parley-doctor-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

interface Report { readonly code: number; readonly ok: boolean; readonly findings: readonly { readonly state: string; readonly what: string; readonly seen: string; readonly mend?: string }[]; readonly placement?: readonly Placed[] }

async function doctor(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Report> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, 'doctor', '--json', ...args], { cwd: folder, env, timeout: 60_000 }, (error, out, err) => {
      try {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, ...(JSON.parse(out) as Omit<Report, 'code'>) })
      } catch {
        reject(new Error(`no report: ${out} ${err}`))
      }
    })
  })
}

/** What a person reads. */
async function printed(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'doctor', ...args], { cwd: folder, env, timeout: 60_000 }, (_, out) => resolve(out))
  })
}

/** A program's name first, as it is typed. */
const COMMAND = /^(sudo |sudoedit |npm |pactl |systemctl |free |top\b|df )/
/** On an installed device there is no npm, and in a clone no release to be laid down again. */
const ELSEWHERE = { device: /npm|libasound2-dev/, clone: /\.reinstall|parley-sound/ }

function mendsWell(t: Test, { state, mend, seen }: Seen, where: keyof typeof ELSEWHERE): void {
  if (state === 'ok') t.match(seen, /nothing is to be done/)
  else t.match(mend, COMMAND)
  t.notMatch(mend ?? '', ELSEWHERE[where], where)
}

const of = (report: Report, what: string): Report['findings'][number] | undefined => report.findings.find(f => f.what === what)

t.test('on a machine with a sound server that cancels the echo, sound and model are well, and the echo has a figure', async t => {
  await using bundle = await tinyBundle()
  await using server = await SoundServer.start({ echoCancel: true })
  const report = await doctor({ ...process.env, ...server.env }, '--echo', '--bundle', bundle.folder)
  t.match(of(report, 'sound system'), { state: 'ok' })
  t.match(of(report, 'microphone')?.seen, /noise -\d+ dB, longest gap between frames \d+ ms/)
  t.match(of(report, 'speaker'), { state: 'ok', seen: /takes sound/ })
  t.match(of(report, 'echo cancellation'), { state: 'ok', seen: /is \d+ dB softer behind ec_mic/ })
  t.equal(report.ok, report.findings.every(f => f.state !== 'fail'))
  t.equal(report.code, report.ok ? 0 : 1)
})

t.test('without any sound the findings say what to do, and what is configured and missing fails', async t => {
  await using bundle = await tinyBundle()
  const silent = { ...process.env, PULSE_SERVER: 'unix:/nowhere', ALSA_CONFIG_PATH: '/dev/null' }
  await writeFile(join(folder, 'named.toml'), '[microphone]\ndriver = "pulse"\ndevice = "usb-mic"\n')
  const report = await doctor(silent, '--config', 'named.toml', '--bundle', bundle.folder)
  t.match(of(report, 'microphone'), { state: 'fail' })
  t.match(of(report, 'speaker'), { state: 'warn', seen: /not heard/ })
  await writeFile(join(folder, 'alsa.toml'), '[microphone]\ndriver = "alsa"\n')
  const alsa = await doctor(silent, '--config', 'alsa.toml', '--bundle', bundle.folder)
  t.match(of(alsa, 'echo cancellation'), { state: 'warn', seen: /ALSA alone.*gate/, mend: /^sudo deploy\/install\.sh --audio pulse/ }, 'whether there is pactl or not')
  for (const f of report.findings.filter(f => f.state !== 'ok')) t.ok(f.mend, `${f.what}: what mends it is named`)
  t.notOk(report.ok)
  t.equal(report.code, 1)
})

t.test('a bundle that is not there fails, and the report still comes whole', async t => {
  const report = await doctor(process.env, '--bundle', 'nowhere')
  t.equal(report.code, 1)
  t.ok(report.findings.some(f => f.state === 'fail' && /nowhere/.test(f.seen)), JSON.stringify(report.findings))
  t.ok(report.findings.length > 5)
  for (const f of report.findings.filter(f => f.state !== 'ok')) t.ok(f.mend, `${f.what}: what mends it is named`)
})

t.test('a wrong, missing or half-written configuration is a finding, and what needs none is looked at all the same', async t => {
  await using bundle = await tinyBundle()
  const silent = { ...process.env, PULSE_SERVER: 'unix:/nowhere', ALSA_CONFIG_PATH: '/dev/null' }
  await writeFile(join(folder, 'wrong.toml'), '[playout]\nleadMs = "fast"\n')
  await writeFile(join(folder, 'half.toml'), '[playout\n')
  for (const [file, seen, mend] of [
    ['wrong.toml', /wrong\.toml is wrong: playout\.leadMs = "fast": expected number/, 'edit wrong.toml, then: sudo parley check-config --config wrong.toml'],
    ['half.toml', /half\.toml is not TOML: line 1/, /^edit half\.toml/],
    ['nowhere.toml', /cannot read nowhere\.toml/, /without --config/],
  ] as const) {
    const report = await doctor(silent, '--config', file, '--bundle', bundle.folder)
    t.equal(report.code, 3, file)
    t.equal(report.ok, false)
    t.match(report.findings[0], { what: 'configuration', state: 'fail', seen, mend })
    t.same(report.findings.filter(f => f.what === 'configuration').length, 1)
    for (const what of ['Node', 'machine', 'clock', 'sound system', 'bundle']) t.ok(of(report, what), `${file}: ${what}`)
    for (const what of ['microphone', 'speaker', 'model', 'golden utterance']) t.notOk(of(report, what), `${file}: ${what} would be judged by the defaults`)
  }
  t.match(await printed(silent, '--config', 'wrong.toml', '--bundle', bundle.folder), /^fail  configuration {5}wrong\.toml is wrong[^]*\n +→ edit wrong\.toml[^]*^ok    Node/m)
})

t.test('what mends machine, sound and golden utterance is a command that fits a device or a clone, or nothing is to be done', async t => {
  const well = { cores: 4, load: 1, availableMb: 2_000, totalMb: 8_000, diskMb: 9_000 }
  t.match(machineSeen(well), { state: 'ok' })
  for (const [spoilt, mend] of [[{ availableMb: 300 }, /^free -m/], [{ load: 5 }, /^top/], [{ diskMb: 100 }, /journalctl --vacuum-size/]] as const) {
    const seen = machineSeen({ ...well, ...spoilt })
    t.match(seen, { state: 'warn', mend })
    mendsWell(t, seen, 'device')
  }
  await using bundle = await tinyBundle(manifest => { manifest.golden.expect.words = ['muffin'] })
  for (const where of ['device', 'clone'] as const) {
    const installed = where === 'device'
    for (const driver of ['auto', 'pipe', 'speaker']) mendsWell(t, unbuiltSpeaker(driver, installed), where)
    for (const server of [true, false]) mendsWell(t, noCanceller(server, installed), where)
    const golden = modelChecks(configSchema.parse({}), bundle.folder, installed).find(c => c.what === 'golden utterance')
    const found = golden && (await runCheck(golden))
    t.match(found, { state: 'fail', seen: /missing: .*muffin/ })
    if (found) mendsWell(t, found, where)
  }
  t.match(unbuiltSpeaker('speaker', true), { state: 'warn', mend: /driver = "pipe"/ }, 'a speaker that is named so takes no other way')
})

t.test('what is for root alone is told with sudo', async t => {
  const refused = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  for (const error of [refused, new ParleyError('secret-missing', 'cannot read it', { cause: refused })]) {
    t.match(await runCheck({ what: 'update', needed: false, look: () => Promise.reject(error) }), { state: 'warn', mend: 'sudo parley doctor' })
  }
  const closed = await configurationRefused(new ParleyError('config-unreadable', '/etc/parley/parley.toml cannot be read by this user', { cause: refused, hint: 'Run it again with `sudo`.' }), undefined)
  t.match(closed, { what: 'configuration', state: 'fail', seen: /^\/etc\/parley\/parley\.toml cannot be read by this user; what depends/, mend: 'sudo parley doctor' })
})

t.test('--placement tells on which provider the nodes of each graph ran, or why none did, as a table and as JSON', async t => {
  await using bundle = await tinyBundle()
  const silent = { ...process.env, PULSE_SERVER: 'unix:/nowhere', ALSA_CONFIG_PATH: '/dev/null' }
  await writeFile(join(folder, 'placed.toml'), '[bundle]\nproviders = ["cuda", "cpu"]\n')
  const args = ['--placement', '--config', 'placed.toml', '--bundle', bundle.folder]
  const { placement } = await doctor(silent, ...args)
  t.match(placement, [{ graph: 'step', provider: 'cuda' }, { graph: 'step', provider: 'cpu', nodes: /^CPUExecutionProvider [1-9]\d*$/, strays: [] }])
  t.match(placement?.[0]?.nodes, /^refused: .|ExecutionProvider \d+/, 'a machine without CUDA says why')
  t.equal((await doctor(silent, ...args.slice(1))).placement, undefined, 'without the word nothing is measured')
  const table = await printed(silent, ...args)
  t.match(table, /^graph +asked for +ran on \(nodes\) +elsewhere *$/m)
  const row = placement?.[1]
  t.match(table.split('\n').filter(line => line.startsWith('step ')).at(-1)?.split(/ {2,}/), [row?.graph, row?.provider, row?.nodes, '0'])
})

t.test('a warning or a failure without what mends it cannot be written, and an error without a hint gets a step, too', async t => {
  // @ts-expect-error: a failure without `mend` is refused by the compiler
  const bare: Finding = { what: 'disk', state: 'fail', seen: 'full' }
  t.notOk(bare.mend)
  for (const hint of [undefined, '']) {
    const found = await runCheck({ what: 'model', needed: true, look: () => Promise.reject(new ParleyError('engine-failed', 'torn', hint === undefined ? {} : { hint })) })
    t.match(found, { state: 'fail', mend: /once more/ })
  }
})
