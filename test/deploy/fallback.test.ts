import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { ParleyError } from '../../base/errors.js'
import { MENDS, lastFailure } from '../../deploy/fallback/why.js'
import { provisionMain } from '../../deploy/provision/main.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { exitCodeOf } from '../../runtime/cli/command.js'
import { list, listTable } from '../../runtime/fleet/list.js'
import { Owner } from '../../runtime/fleet/owner.js'
import { Broker } from '../rig/broker.js'
import { startDevice } from '../telemetry/fake-device.js'
import { Listener, eventually, greeted } from '../telemetry/kit.js'

const run = promisify(execFile)
const SCRIPTS = new URL('../../../deploy/fallback/', import.meta.url).pathname

/** A folder for state and settings, and programs that only note how they were called. */
async function device(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'parley-fallback-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  for (const program of ['aplay', 'mosquitto_pub', 'systemctl']) {
    await writeFile(join(folder, program), `#!/bin/sh\necho ${program} "$@" >>${folder}/calls\n`)
    await chmod(join(folder, program), 0o755)
  }
  const env = { PATH: `${folder}:${process.env['PATH']}`, PARLEY_STATE: folder, PARLEY_ETC: folder, PARLEY_ENTRY: process.execPath, PARLEY_FALLBACK_S: 'once' }
  return { folder, env, calls: () => readFile(join(folder, 'calls'), 'utf8').catch(() => '') }
}

for (const [note, why] of [
  [{ SERVICE_RESULT: 'watchdog', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL' }, 'stalled'],
  [{ SERVICE_RESULT: 'oom-kill', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL' }, 'out-of-memory'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '3' }, 'wrong-configuration'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '4' }, 'missing-device'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '6' }, 'damaged-bundle'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '7' }, 'model-fails'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '1' }, 'failed'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '1', PARLEY_ENTRY: '/nowhere/main.js' }, 'broken-installation'],
  [{ SERVICE_RESULT: 'watchdog', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL', PARLEY_ENTRY: '/nowhere/main.js' }, 'stalled'],
  [{ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '203' }, 'broken-installation'],
  [{ SERVICE_RESULT: 'signal', EXIT_CODE: 'killed', EXIT_STATUS: 'SEGV' }, 'crashed'],
  [{ SERVICE_RESULT: 'resources' }, 'unknown'],
  [{ SERVICE_RESULT: 'core-dump', EXIT_CODE: 'dumped', EXIT_STATUS: 'SEGV' }, 'crashed'],
  [{ SERVICE_RESULT: 'timeout', EXIT_CODE: 'killed', EXIT_STATUS: 'TERM' }, 'start-too-slow'],
  [{ SERVICE_RESULT: 'success' }, 'unknown'],
] as const) {
  t.test(`a stop by ${note.SERVICE_RESULT} ${'EXIT_STATUS' in note ? note.EXIT_STATUS : ''}${'PARLEY_ENTRY' in note ? ', its program gone,' : ''} is told as ${why}, spoken and sent`, async t => {
    const { env, folder, calls } = await device(t)
    await writeFile(join(folder, 'fallback.env'), "BROKER_HOST='b.local'\nBROKER_PORT='8883'\nROOT_TOPIC='parley/v1/s/d'\nCA='/ca'\nCERT='/cert'\nKEY='/key'\n")
    await run('sh', [join(SCRIPTS, 'note-stop.sh')], { env: { ...env, ...note } })
    await run('sh', [join(SCRIPTS, 'fallback.sh')], { env })
    if (note.SERVICE_RESULT !== 'success') t.equal(lastFailure(await readFile(join(folder, 'last-failure'), 'utf8'))?.why, why, 'the doctor says the same')
    t.match(await calls(), /aplay -q .*out-of-service\.wav/)
    t.match(await calls(), new RegExp(`mosquitto_pub -h b\\.local -p 8883 -t parley/v1/s/d/out-of-service -q 1 -r .*"why":"${why}".*--cafile /ca --cert /cert --key /key`))
  })
}

for (const [code, why] of [['bundle-bad', 'damaged-bundle'], ['bundle-missing', 'damaged-bundle'], ['bundle-changed', 'damaged-bundle'], ['no-provider', 'model-fails'], ['golden-failed', 'model-fails'], ['bad-config', 'wrong-configuration'], ['device-missing', 'missing-device']] as const) {
  t.test(`a voice that ends with ${code} is out of service for ${why}`, async t => {
    const { env, folder } = await device(t)
    await stopped(env, 'exit-code', String(exitCodeOf(new ParleyError(code, 'a test'))))
    t.match((await run('sh', [join(SCRIPTS, 'fallback.sh')], { env })).stderr, `out of service: ${why} `)
    t.equal(lastFailure(await readFile(join(folder, 'last-failure'), 'utf8'))?.why, why)
    t.ok(MENDS[why], 'and what mends it is named')
  })
}

/** Every write to this file ends as on a full disk. */
const full = (path: string): Promise<void> => symlink('/dev/full', path)
const stopped = (env: NodeJS.ProcessEnv, result: string, status: string): Promise<unknown> => run('sh', [join(SCRIPTS, 'note-stop.sh')], { env: { ...env, SERVICE_RESULT: result, EXIT_CODE: 'exited', EXIT_STATUS: status } })

t.test('on a full disk the reason of this stop is told, not that of the last one', async t => {
  const { env, folder } = await device(t)
  await stopped(env, 'exit-code', '3')
  await full(join(folder, 'last-failure.new'))
  await stopped(env, 'watchdog', 'KILL')
  t.match(await readFile(join(folder, 'last-failure'), 'utf8'), /^result=watchdog code=exited status=KILL at=\S+ +\.\n$/)
  t.match((await run('sh', [join(SCRIPTS, 'fallback.sh')], { env })).stderr, /out of service: stalled \(result=watchdog .*Z\)\n/)
})

t.test('where not even that can be written, no reason is told instead of a wrong one', async t => {
  const { env, folder } = await device(t)
  for (const name of ['last-failure', 'last-failure.new']) await full(join(folder, name))
  await stopped(env, 'watchdog', 'KILL')
  t.match((await run('sh', [join(SCRIPTS, 'fallback.sh')], { env })).stderr, /out of service: unknown \(nothing was noted\)/)
})

t.test('without a broker it still speaks', async t => {
  const { env, calls } = await device(t)
  await run('sh', [join(SCRIPTS, 'fallback.sh')], { env })
  t.match(await calls(), /^aplay .*\n$/)
})

type Card = Readonly<{ id: string; on: 'pci' | 'usb'; streams: readonly string[] }>
const HDMI: Card = { id: 'HDA', on: 'pci', streams: ['D3p', 'D7p'] }
const USB: Card = { id: 'S510', on: 'usb', streams: ['D0p', 'D0c'] }
const WEBCAM: Card = { id: 'C920', on: 'usb', streams: ['D0c'] }
const OURS: Card = { ...USB, id: 'parleyusb' }

/** What `/sys` shows of these cards, by their numbers, with its relative links. */
async function sys(root: string, cards: readonly Card[]): Promise<void> {
  const sound = join(root, 'sys/class/sound')
  await mkdir(sound, { recursive: true })
  for (const [n, { id, on, streams }] of cards.entries()) {
    const parent = on === 'usb' ? `3610000.usb/usb1/1-${n}/1-${n}:1.0` : `pci0000:00/0000:00:0${n}.0`
    const card = join(root, 'sys/devices', parent, `sound/card${n}`)
    for (const stream of streams) await mkdir(join(card, `pcmC${n}${stream}`), { recursive: true })
    await writeFile(join(card, 'id'), `${id}\n`)
    await symlink('../..', join(card, 'device'))
    for (const name of [`card${n}`, ...streams.map(stream => `card${n}/pcmC${n}${stream}`)]) await symlink(`../../devices/${parent}/sound/${name}`, join(sound, name.split('/').at(-1) ?? ''))
  }
}

/** What `aplay` was given as its device; undefined: nothing, so that ALSA's own default plays. */
async function spokenOn(t: Test, cards: readonly Card[], files: Readonly<Record<string, string>> = {}, env: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
  const { folder, env: common, calls } = await device(t)
  await sys(folder, cards)
  await mkdir(join(folder, 'etc'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  await run('sh', [join(SCRIPTS, 'fallback.sh')], { env: { ...common, PARLEY_ROOT: folder, ...env } })
  const said = await calls()
  t.match(said, /^aplay -q (-D \S+ )?\S+out-of-service\.wav\n$/)
  return /-D (\S+)/.exec(said)?.[1]
}

t.test('it speaks on the card that the voice would take, not on an HDMI output that comes first', async t => {
  t.equal(await spokenOn(t, [HDMI, USB]), 'plughw:CARD=S510')
  t.equal(await spokenOn(t, [HDMI, WEBCAM, USB, OURS]), 'plughw:CARD=parleyusb')
  t.equal(await spokenOn(t, [HDMI, WEBCAM]), 'plughw:CARD=HDA', 'a card that only hears is none')
  t.equal(await spokenOn(t, [HDMI]), 'plughw:CARD=HDA')
  t.equal(await spokenOn(t, []), undefined)
})

t.test('what was set goes before that card: the unit\'s device, the owner\'s, and his settings of ALSA', async t => {
  const named = (...lines: string[]) => ({ 'parley.toml': ['[microphone]', 'device = "hw:9"', '[speaker]', ...lines, '[update]', 'device = "x"', ''].join('\n') })
  t.equal(await spokenOn(t, [HDMI, USB], named('device = "plughw:CARD=HDA"'), { PARLEY_FALLBACK_PCM: 'pulse' }), 'pulse')
  t.equal(await spokenOn(t, [HDMI, USB], named('driver = "speaker"', 'device = "hw:CARD=HDA"  # over there')), 'plughw:CARD=HDA')
  t.equal(await spokenOn(t, [HDMI, USB], named('driver = "pipe"', 'device = "a-sink"')), 'plughw:CARD=S510', 'a name of a sound server is none of ALSA')
  t.equal(await spokenOn(t, [HDMI, USB], named('driver = "speaker"')), 'plughw:CARD=S510')
  t.equal(await spokenOn(t, [HDMI, USB], { 'etc/asound.conf': '' }), undefined)
})

t.test('after its time the voice is tried again, unless a person stopped the fallback', async t => {
  const { env, calls } = await device(t)
  await run('sh', [join(SCRIPTS, 'try-again.sh')], { env: { ...env, SERVICE_RESULT: 'success' } })
  t.equal(await calls(), '')
  await run('sh', [join(SCRIPTS, 'try-again.sh')], { env: { ...env, SERVICE_RESULT: 'timeout' } })
  t.match(await calls(), /reset-failed parley\.service\nsystemctl start --no-block parley\.service/)
})

/** The installed scripts, and a node that runs `node` instead of a release. */
async function installed(t: Test, node: string) {
  const { folder, env } = await device(t)
  const guard = join(folder, 'opt/parley/guard')
  await Promise.all([guard, join(folder, 'var/lib/parley-update')].map(path => mkdir(path, { recursive: true })))
  await copyFile(join(SCRIPTS, 'updater.sh'), join(guard, 'updater.sh'))
  await copyFile(join(SCRIPTS, '../install/parley.sh'), join(guard, 'parley'))
  await writeFile(join(guard, 'node'), `#!/bin/sh\n${node}\n`, { mode: 0o755 })
  return { folder, guard, env: { ...env, PARLEY_ROOT: folder } }
}

t.test('while a release is on trial the updater of the one before judges it, whoever calls it', async t => {
  const { folder, guard, env } = await installed(t, 'echo "$1"')
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]
  const program = async (command = ['updater.sh', 'advance']): Promise<string> => (await run('sh', [join(guard, command[0] ?? ''), ...command.slice(1)], { env })).stdout.trim().slice(folder.length)
  t.equal(await program(), '/opt/parley/current/app/dist/deploy/update/main.js')
  await writeFile(join(folder, 'var/lib/parley-update/trial'), `release=${b} previous=${a}\n`)
  t.equal(await program(), `/opt/parley/releases/${a}/app/dist/deploy/update/main.js`)
  t.equal(await program(['parley', 'update', 'advance', '--from', '/media/stick']), `/opt/parley/releases/${a}/app/dist/deploy/update/main.js`)
  t.equal(await program(['parley', 'update', 'status']), '/opt/parley/current/app/dist/runtime/cli/main.js')
})

t.test('with a real sound server and a real broker: the recording is heard, the fleet sees why, until the voice is back', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using server = await SoundServer.start({ loopback: false })
  await using heard = await server.record('spk.monitor')
  const folder = await mkdtemp(join(tmpdir(), 'parley-fallback-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'fallback.env'), `BROKER_HOST='127.0.0.1'\nBROKER_PORT='${broker.port}'\nROOT_TOPIC='parley/v1/lab/r1'\n`)
  await writeFile(join(folder, 'last-failure'), 'result=exit-code status=4\n')
  await run('sh', [join(SCRIPTS, 'fallback.sh')], { env: { ...process.env, ...server.env, PARLEY_STATE: folder, PARLEY_ETC: folder, PARLEY_FALLBACK_S: 'once' } })
  t.ok(heard.firstSoundAt(0.02) !== undefined, 'it says that it is out of service')

  const is = async (): Promise<string | undefined> => {
    await using owner = await Owner.open({ url: broker.url })
    const device = (await list(owner, '+'))[0]
    return device && listTable([device], Date.now()).at(-1)?.trim().split(/ {2,}/)[2]
  }
  t.equal(await is(), 'out: missing-device')
  const { device } = await startDevice(t, broker, folder)
  await greeted(device.telemetry)
  t.equal(await is(), 'online')
  await device.close()
  t.equal(await is(), 'offline', 'and nothing is left of it')
})

t.test('it tells a real broker again and again, as the user of the configuration, and no process shows the password', { timeout: 60_000 }, async t => {
  const { env, folder, calls } = await device(t)
  const secret = "it's  #1 -P"
  const passwords = join(folder, 'passwords')
  await run('mosquitto_passwd', ['-c', '-b', passwords, 'robot', secret])
  await using broker = await Broker.start({ config: port => ['user root', `listener ${port} 127.0.0.1`, 'persistence false', 'allow_anonymous false', `password_file ${passwords}`] })
  await writeFile(join(folder, 'password'), `${secret}\n`, { mode: 0o600 })
  await mkdir(join(folder, 'etc/parley'), { recursive: true })
  await writeFile(join(folder, 'etc/parley/parley.toml'), `[telemetry.broker]\nusername = "robot"\npasswordFile = "${folder}/password"\n`)
  await writeFile(join(folder, 'answers.toml'), `device = "r1"\nsite = "lab"\n[broker]\nurl = "${broker.url}"\n`)
  t.equal(await provisionMain(['--root', folder, '--from', join(folder, 'answers.toml')], { out: () => {}, wall: () => 0 }), 0)
  await writeFile(join(folder, 'mosquitto_pub'), `#!/bin/sh\necho mosquitto_pub "$@" >>${folder}/calls\nPATH=${process.env['PATH']} exec mosquitto_pub "$@"\n`)
  await using owner = await Listener.open(broker.url, 'parley/v1/lab/r1/out-of-service', { username: 'robot', password: secret })

  const child = spawn('sh', [join(SCRIPTS, 'fallback.sh')], { env: { ...env, PARLEY_ETC: join(folder, 'etc/parley'), RUNTIME_DIRECTORY: join(folder, 'run'), PARLEY_FALLBACK_S: '1' }, stdio: 'ignore' })
  t.teardown(() => void child.kill('SIGKILL'))
  await eventually('two messages', () => owner.heard.length >= 2)
  t.match(JSON.parse(String(owner.heard[1]?.payload)), { why: 'unknown' })
  t.equal((await calls()).match(/aplay/g)?.length, 1, 'it speaks once')
  t.notMatch(await calls(), "it's")
  t.equal((await stat(join(folder, 'run/mosquitto_pub'))).mode & 0o777, 0o600)
})

t.test('a second updater is sent away while the first is at work, and comes in when that was killed', async t => {
  const { folder, guard, env } = await installed(t, `[ "$2" = status ] || exec sleep 60`)
  const first = spawn('sh', [join(guard, 'updater.sh'), 'advance'], { env, stdio: 'ignore' })
  const again = (verb: string) => run('sh', [join(guard, 'updater.sh'), verb], { env, timeout: 2_000 })
  // Before the first has its lock the second would take it.
  await until(async () => (await readFile(`/proc/${first.pid}/cmdline`, 'utf8')).startsWith('sleep'))
  await t.rejects(again('advance'), { code: 75, stderr: /another updater is at work/ })
  await t.resolves(again('status'), 'how it stands can be read')
  await writeFile(join(folder, 'opt/parley/guard/node'), '#!/bin/sh\n', { mode: 0o755 })
  first.kill('SIGKILL')
  await once(first, 'exit')
  await t.resolves(again('advance'))
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10)
}
