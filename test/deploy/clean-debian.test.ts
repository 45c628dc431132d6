import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Container, whyNot } from './container.js'
import { handedOver } from './handed-over.js'
import { ROOT } from './tree.js'

// A minute on an idle machine: 120 MB are packed, unpacked and synced, and some packages are fetched.
t.setTimeout(480_000)
const skip = whyNot()

/** Every file with its size and time; what a container itself writes when it is entered left out. */
async function picture(box: Container): Promise<string[]> {
  return (await box.before(['find', '/', '-xdev', '(', '-path', '/proc', '-o', '-path', '/sys', '-o', '-path', '/run', '-o', '-path', '/tmp', '-o', '-path', '/source', '-o', '-path', '/dependencies', ')', '-prune', '-o', '-type', 'f', '-printf', '%p %s %T@\n'])).split('\n').filter(line => !/^\/etc\/(resolv\.conf|machine-id)/.test(line)).sort()
}

t.test('deploy/install.sh alone makes a clean Debian a device with the real runtime, and takes it away again', { skip }, async t => {
  await using bundle = await tinyBundle()
  const from = await handedOver(t, bundle.folder)
  const see = { '/source': from, '/dependencies': join(ROOT, 'node_modules') }
  await using box = await Container.prepare(false)
  const installer = ['sh', '/source/deploy/install.sh']

  await t.test('--dry-run names the packages and the files, and changes nothing', async t => {
    const before = new Set(await picture(box))
    const said = await box.before([...installer, '--dry-run'], see)
    t.match(said, /would: .*apt-get install.*alsa-utils/)
    t.match(said, /would: .*apt-get install.*systemd-timesyncd/, 'nothing else sets the clock')
    t.match(said, /would: .*parley\.service/)
    const after = await picture(box)
    t.same(after.filter(line => !before.has(line)), [])
    t.equal(after.length, before.size)
  })

  await t.test('it installs, with its packages', async t => {
    const began = performance.now()
    const said = await box.before([...installer], see).catch(error => String(error.stdout) + String(error.stderr))
    t.match(said, /installed\. Next: sudo parley provision/, said.slice(-2_000))
    t.comment(`${Math.round((performance.now() - began) / 1_000)} s`)
    for (const name of ['usr/bin/aplay', 'usr/bin/mosquitto_pub', 'opt/parley/current/bundle/bundle.json']) t.ok(await stat(box.path(name)), name)
    t.notOk((await readdir(box.path('opt/parley/current/node_modules'))).includes('tap'))
  })

  await t.test('run again, it changes nothing', async t => {
    const before = new Set(await picture(box))
    await box.before([...installer], see)
    t.same((await picture(box)).filter(line => !before.has(line)), [])
  })

  await box.boot(see)

  await t.test('without a microphone the device says that it is out of service, and why', async t => {
    t.match(await box.until('parley-fallback.service', 'ActiveState', /^active$/, 60_000), 'active', await box.journal('parley.service'))
    t.match(await box.untilSaid('parley-fallback.service', /out of service/), /out of service: missing-device/)
  })

  await t.test('with one it listens: READY to systemd, fed by progress', async t => {
    await writeFile(box.path('etc/parley/parley.toml'), '[microphone]\ndriver = "fake"\nrepeat = true\n\n[speaker]\ndriver = "null"\n')
    await box.run('systemctl', 'reset-failed', 'parley.service')
    await box.run('systemctl', 'start', 'parley.service').catch(() => {})
    t.equal(await box.show('parley.service', 'ActiveState'), 'active', await box.journal('parley.service'))
    const [ready, begun] = [Number(await box.show('parley.service', 'ActiveEnterTimestampMonotonic')), Number(await box.show('parley.service', 'InactiveExitTimestampMonotonic'))]
    t.comment(`READY ${Math.round((ready - begun) / 1_000)} ms after its start`)
    t.equal(await box.show('parley-fallback.service', 'ActiveState'), 'inactive')
    t.match(await box.run('parley', '--help'), /doctor/)
  })

  await t.test('--uninstall stops everything and leaves the owner what is his; --purge takes that too', async t => {
    await box.run('sh', '/source/deploy/install.sh', '--uninstall')
    const left = await box.run('sh', '-c', 'find / -xdev -name "*parley*" -not -path "/proc/*" -not -path "/source/*" -not -path "/dependencies/*" -not -path "/var/log/*" -not -path "/run/*" | sort')
    t.same(left.split('\n'), ['/etc/parley', '/etc/parley/parley.toml', '/var/lib/parley'])
    t.equal(await box.run('sh', '-c', 'ps -u parley -o comm= 2>/dev/null || pgrep -u parley -l || true'), '')
    t.match(await readFile(box.path('etc/parley/parley.toml'), 'utf8'), /fake/)
    await box.run('sh', '/source/deploy/install.sh', '--uninstall', '--purge')
    t.equal(await box.run('sh', '-c', 'ls -d /etc/parley /var/lib/parley 2>/dev/null || true'), '')
  })

  await t.test('installed on a machine that runs, it starts at once', async t => {
    const said = await box.run('sh', '/source/deploy/install.sh').catch(error => String(error.stdout) + String(error.stderr))
    t.match(said, /installed\. Next: sudo parley provision/, said.slice(-2_000))
    t.equal(await box.until('parley.target', 'ActiveState', /^active$/, 20_000), 'active')
    t.equal(await box.show('parley-update.timer', 'ActiveState'), 'active')
    t.match(await box.until('parley-fallback.service', 'ActiveState', /^active$/, 60_000), 'active', await box.journal('parley.service'))
  })
})
