import { execFile, spawnSync } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { drift } from '../../deploy/install/drift.js'
import { copyDependencies } from '../../deploy/install/dependencies.js'
import { ROOT, sourceTree } from './tree.js'

const run = promisify(execFile)
t.setTimeout(240_000)
const skip = spawnSync('systemd-sysusers', ['--version']).status === 0 ? false : 'systemd is missing here'

async function emptyRoot(t: Test, release = 'ID=debian\nVERSION_ID="12"\n'): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'parley-root-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await mkdir(join(root, 'etc'), { recursive: true })
  await writeFile(join(root, 'etc/os-release'), release)
  return root
}

const install = (from: string, root: string, ...options: string[]) => run('sh', [join(from, 'deploy/install.sh'), '--root', root, ...options])

async function everything(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true })).sort()
}

t.test('an empty root becomes a device: release, guard, units, users, settings', { skip }, async t => {
  const from = await sourceTree(t, 'console.log("hello")\n')
  const root = await emptyRoot(t)
  await install(from, root)
  const current = await readlink(join(root, 'opt/parley/current'))
  t.match(current, /^releases\/[0-9a-f]{64}$/)
  t.equal((await run(process.execPath, [join(root, 'opt/parley/current/app/dist/runtime/cli/main.js')])).stdout, 'hello\n')
  t.equal(await readFile(join(root, 'opt/parley/current/bundle/bundle.json'), 'utf8'), '{}')
  for (const name of ['boot-guard.sh', 'fallback.sh', 'updater.sh']) t.ok((await stat(join(root, 'opt/parley/guard', name))).mode & 0o111, name)
  t.ok(await stat(join(root, 'etc/systemd/system/parley.service')))
  t.match(await readlink(join(root, 'etc/systemd/system/multi-user.target.wants/parley.target')), /parley\.target$/)
  t.match(await readFile(join(root, 'etc/passwd'), 'utf8'), /^parley:.*nologin$/m)
  t.match(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8'), /driver = "alsa"/)
})

t.test('run again, it changes nothing, and leaves the owner\'s settings alone', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root)
  await writeFile(join(root, 'etc/parley/parley.toml'), '# mine\n')
  const before = await everything(root)
  const unit = (await stat(join(root, 'etc/systemd/system/parley.service'))).mtimeMs
  await install(from, root)
  t.same(await everything(root), before)
  t.equal(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8'), '# mine\n')
  t.equal((await stat(join(root, 'etc/systemd/system/parley.service'))).mtimeMs, unit)
})

t.test('what an update leaves as it was is found, and running the release\'s own installer mends it', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root, '--audio', 'pulse', '--node', process.execPath)
  t.same(await drift(root), [])
  const ours = (await everything(root)).filter(n => /^(opt\/parley\/guard\/[^n]|(etc|usr\/lib)\/(systemd|sysusers|tmpfiles|udev|pulse|pipewire).*parley)/.test(n))
  const files = await Promise.all(ours.map(async n => ((await lstat(join(root, n))).isFile() ? n : undefined)))
  // Each of them spoilt, and each of them found: so the list is whole.
  const spoilt = files.filter(n => n !== undefined && !n.endsWith('/notify.conf')) as string[]
  for (const name of spoilt) await writeFile(join(root, name), 'old')
  t.same(await drift(root), spoilt)
  await run('sh', [join(root, 'opt/parley/current/app/deploy/install.sh'), '--root', root], { env: { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
  t.same(await drift(root), [])
  await rm(join(root, 'etc/systemd/system/parley-light.service'))
  t.same(await drift(root), ['etc/systemd/system/parley-light.service'], 'one that is not there at all')
})

t.test('no release is made of an installed release, nor of a tree without a model: refused before anything is changed', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root, '--node', process.execPath)
  const [again, unit] = ['opt/parley/.reinstall', 'etc/systemd/system/parley-light.service'].map(name => join(root, name)) as [string, string]
  await writeFile(again, '')
  await writeFile(unit, 'old')
  const before = await everything(root)
  const current = await readlink(join(root, 'opt/parley/current'))
  const app = join(root, 'opt/parley/current/app')
  await t.rejects(install(app, root), { code: 4, stderr: /app has no node_modules: run deploy\/install\.sh of the vendor's tree .*, not of an installed release; to keep the release as it is: rm .*\.reinstall\n/ })
  t.same(await everything(root), before)
  t.equal(await readFile(unit, 'utf8'), 'old')
  t.equal(await readlink(join(root, 'opt/parley/current')), current)

  await install(from, root, '--node', process.execPath)
  await t.rejects(stat(again), { code: 'ENOENT' }, 'the tree that it was installed from does it')
  t.equal(await readFile(join(root, 'opt/parley/current/bundle/bundle.json'), 'utf8'), '{}')

  await rm(join(from, 'models'), { recursive: true })
  const empty = await emptyRoot(t)
  await t.rejects(install(from, empty), { code: 4, stderr: /has no models\/pico: .*, not of an installed release\n/ })
  t.same(await everything(empty), ['etc', 'etc/os-release'])
})

t.test('--dry-run says what it would do and does nothing', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  const before = await everything(root)
  const { stdout } = await install(from, root, '--dry-run')
  t.match(stdout, /would: .*parley\.service/)
  t.same(await everything(root), before)
})

t.test('which sound was chosen and why is said each time, before anything is done and when it is run again, too', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  const said = async (...options: string[]): Promise<string> => (await install(from, root, ...options)).stdout
  const [alsa, pulse, pipewire] = [/^sound: ALSA \(the default\), the card belongs to parley alone.*\necho: no canceller/m, /^sound: a PulseAudio server of its own \(asked for; .*\necho: the server has a WebRTC canceller/m, /^sound: a PipeWire server of its own \(asked for; /m]
  t.match(await said('--dry-run'), alsa)
  t.match(await said('--dry-run', '--audio', 'pipewire'), pipewire)
  t.match(await said(), alsa)
  t.match(await said(), /^sound: ALSA \(as it was installed before\)/m)
  t.match(await said('--audio', 'pulse', '--dry-run'), pulse)
  t.match(await said('--audio', 'pulse'), pulse)
  t.match(await said(), /^sound: a PulseAudio server of its own \(as it was installed before; /m)
})

/** What install.sh would do on a machine that runs: in a namespace of its own, where /run has a systemd and /etc/systemd holds `journald`, if anything. */
async function onARunningMachine(t: Test, from: string, journald?: string): Promise<string> {
  const folder = await emptyRoot(t)
  await writeFile(join(folder, 'systemctl'), '#!/bin/sh\n', { mode: 0o755 })
  if (journald !== undefined) await writeFile(join(folder, 'journald'), journald)
  const script = `set -e
mount --bind ${folder}/etc/os-release /etc/os-release
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
mount -t tmpfs tmpfs /etc/systemd && mkdir /etc/systemd/journald.conf.d
[ ! -e ${folder}/journald ] || cp ${folder}/journald /etc/systemd/journald.conf.d/parley.conf
PATH=${folder}:$PATH exec sh ${from}/deploy/install.sh --dry-run --no-packages --node ${process.execPath}`
  return (await run('unshare', ['--map-root-user', '--mount', 'sh', '-c', script])).stdout
}
const noNamespaces = skip || (spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0 ? false : 'no namespaces here')

t.test('the journal\'s limits hold at once where systemd runs, and only a change of them restarts it', { skip: noNamespaces }, async t => {
  const from = await sourceTree(t, '')
  const restart = 'would: systemctl try-restart systemd-journald.service\n'
  t.match(await onARunningMachine(t, from), restart)
  t.match(await onARunningMachine(t, from, '[Journal]\n'), restart)
  t.notMatch(await onARunningMachine(t, from, await readFile(join(ROOT, 'systemd/journald.conf.d/parley.conf'), 'utf8')), restart)
  t.notMatch((await install(from, await emptyRoot(t), '--dry-run')).stdout, 'systemd-journald', 'a folder has no journal that runs')
})

t.test('--uninstall removes the program and keeps what is the owner\'s; --purge takes that too', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root)
  await mkdir(join(root, 'var/lib/parley'), { recursive: true })
  await install(from, root, '--uninstall')
  const left = (await everything(root)).filter(n => n.includes('parley'))
  t.same(left.filter(n => !n.startsWith('etc/parley') && !n.startsWith('var/lib/parley')), [])
  t.ok(left.includes('etc/parley/parley.toml'))
  await install(from, root, '--uninstall', '--purge')
  t.same((await everything(root)).filter(n => n.startsWith('etc/parley') || n.startsWith('var/lib/parley')), [])
})

t.test('--audio pulse gives the sound server, PulseAudio or PipeWire, its echo canceller; --uninstall takes it back', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root, '--audio', 'pulse')
  const files = ['etc/pulse/default.pa.d/parley.pa', 'etc/pipewire/pipewire-pulse.conf.d/parley.conf'].map(name => join(root, name))
  for (const file of files) t.match(await readFile(file, 'utf8'), /module-echo-cancel source_name=parley_mic sink_name=parley_speaker aec_method=webrtc/)
  t.match(await readFile(join(root, 'etc/parley/parley.toml'), 'utf8'), /driver = "pulse"/)
  await install(from, root, '--uninstall')
  for (const file of files) await t.rejects(stat(file), { code: 'ENOENT' })
})

t.test('--audio pulse gives the voice and its fallback a sound server; the other way takes it from them', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await install(from, root, '--audio', 'pulse')
  const [voice, fallback] = ['parley', 'parley-fallback'].map(unit => join(root, `etc/systemd/system/${unit}.service.d/sound.conf`)) as [string, string]
  t.match(await readFile(voice, 'utf8'), /Wants=parley-sound\.service\nAfter=parley-sound\.service/)
  t.match(await readFile(fallback, 'utf8'), /PARLEY_FALLBACK_PCM=pulse/)
  await install(from, root)
  t.ok(await stat(voice), 'run again it stays')
  await install(from, root, '--audio', 'alsa')
  for (const file of [voice, fallback]) await t.rejects(stat(file), { code: 'ENOENT' })
  t.same(await drift(root), [])
})

t.test('--audio pipewire puts PipeWire in the place of PulseAudio, stays when it is run again, and goes as it came', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  const server = join(root, 'etc/systemd/system/parley-sound.service.d/server.conf')
  await install(from, root, '--audio', 'pipewire')
  for (const options of [[], ['--audio', 'pipewire']]) {
    t.match(await readFile(server, 'utf8'), /PARLEY_SOUND_SERVER=pipewire/)
    await t.rejects(stat(join(root, 'etc/pipewire/pipewire-pulse.conf.d/parley.conf')), { code: 'ENOENT' }, 'the device has one canceller, not two')
    t.same(await drift(root), [])
    await install(from, root, ...options)
  }
  await install(from, root, '--audio', 'pulse')
  await t.rejects(stat(server), { code: 'ENOENT' })
  t.ok(await stat(join(root, 'etc/systemd/system/parley.service.d/sound.conf')), 'the voice still waits for a server')
  t.same(await drift(root), [])
  await install(from, root, '--audio', 'pipewire')
  await install(from, root, '--uninstall')
  t.same((await everything(root)).filter(n => /sound|parley.(pa|conf)$/.test(n)), [])
})

t.test('--screen enables the screen, run again it stays, --no-screen and --uninstall take it off', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  const on = (): Promise<boolean> => lstat(join(root, 'etc/systemd/system/parley.target.wants/parley-screen.service')).then(() => true, () => false)
  await install(from, root)
  t.notOk(await on(), 'nobody asked for one')
  t.match((await install(from, root, '--screen', '--dry-run')).stdout, /would: systemctl .*enable parley-screen\.service/)
  t.notOk(await on(), 'a dry run')
  for (const options of [['--screen'], []]) {
    await install(from, root, ...options)
    t.ok(await on(), options.join() || 'run again')
  }
  await install(from, root, '--no-screen')
  t.notOk(await on())
  await install(from, root, '--screen')
  await mkdir(join(root, 'var/lib/parley-screen/profile'), { recursive: true })
  await install(from, root, '--uninstall')
  t.same((await everything(root)).filter(name => name.includes('screen')), [])
})

t.test('JetPack is recognised, an old one and another system are refused', { skip }, async t => {
  const from = await sourceTree(t, '')
  const jetson = await emptyRoot(t, 'ID=ubuntu\nVERSION_ID="22.04"\n')
  await writeFile(join(jetson, 'etc/nv_tegra_release'), '# R36 (release), REVISION: 4.3, GCID: 1\n')
  t.match((await install(from, jetson, '--dry-run')).stdout, /JetPack 6/)
  for (const release of ['R38 (release), REVISION: 2.0', 'R39 (release), REVISION: 1.0']) {
    const thor = await emptyRoot(t, 'ID=ubuntu\nVERSION_ID="24.04"\n')
    await writeFile(join(thor, 'etc/nv_tegra_release'), `# ${release}, GCID: 1\n`)
    t.match((await install(from, thor, '--dry-run')).stdout, /system: ubuntu 24\.04, JetPack 7/)
  }
  t.match((await install(from, await emptyRoot(t, 'ID=ubuntu\nVERSION_ID="24.04"\n'), '--dry-run')).stdout, /system: ubuntu 24\.04\n/)
  await writeFile(join(jetson, 'etc/nv_tegra_release'), '# R35 (release), REVISION: 4.1, GCID: 1\n')
  await t.rejects(install(from, jetson, '--dry-run'), { code: 4, stderr: /JetPack is too old/ })
  await t.rejects(install(from, await emptyRoot(t, 'ID=fedora\nVERSION_ID=41\n')), { code: 4, stderr: /Debian 12/ })
})

t.test('a device gets what it runs with, not what it was built with, nor the libraries of other machines', async t => {
  const to = await mkdtemp(join(tmpdir(), 'parley-dependencies-'))
  t.teardown(() => rm(to, { recursive: true, force: true }))
  await copyDependencies(ROOT, to)
  const names = await readdir(to)
  for (const name of ['mqtt', 'onnxruntime-node', 'zod', 'tuf-js']) t.ok(names.includes(name), name)
  for (const name of ['tap', 'typescript', 'sparkplug-payload']) t.notOk(names.includes(name), name)
  const binaries = (await readdir(join(to, 'onnxruntime-node/bin'), { recursive: true })).filter(n => /\.(node|so|dll|dylib)/.test(n))
  t.ok(binaries.length > 0 && binaries.every(n => n.includes(`${process.platform}/${process.arch}/`)), binaries.join(' '))
})

t.test('a node that is handed over is copied, and `parley` runs with it', { skip }, async t => {
  const from = await sourceTree(t, 'console.log("hello")\n')
  const root = await emptyRoot(t)
  await install(from, root, '--node', process.execPath)
  t.ok((await lstat(join(root, 'opt/parley/guard/node'))).isFile())
  t.equal(await readlink(join(root, 'usr/local/bin/parley')), '/opt/parley/guard/parley')
  t.equal(spawnSync('dash', ['-n', join(root, 'opt/parley/guard/parley')]).status ?? 0, 0)
})

t.test('a release without the addon lets systemd hear the program that speaks for it', { skip }, async t => {
  const from = await sourceTree(t, '')
  const root = await emptyRoot(t)
  await rm(join(from, 'dist/deploy/notify/notify.node'), { force: true })
  await install(from, root, '--node', process.execPath)
  const [addon, dropin] = await Promise.all(['opt/parley/current/app/dist/deploy/notify/notify.node', 'etc/systemd/system/parley.service.d/notify.conf'].map(name => stat(join(root, name)).catch(() => undefined)))
  t.not(addon === undefined, dropin === undefined, 'either the one or the other')
})

t.test('a wrong option is told with the help', async t => {
  const from = await sourceTree(t, '')
  await t.rejects(run('sh', [join(from, 'deploy/install.sh'), '--nonsense']), { code: 2, stderr: /--dry-run/ })
})
