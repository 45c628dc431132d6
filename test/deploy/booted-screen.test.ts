import { readFile, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Container, whyNot } from './container.js'
import { sourceTree } from './tree.js'

// A minute and a half on an idle machine: 195 MB of packages are fetched. Therefore on demand.
t.setTimeout(900_000)
const skip = process.env['PARLEY_BOOT_SCREEN'] === undefined ? 'it fetches 195 MB: PARLEY_BOOT_SCREEN=1, or sudo deploy/boot-test/run.sh' : whyNot()

/** In the place of the runtime: a voice that is well, or the boot would wait for it. */
const MAIN = `
import { openNotifier } from '../../deploy/notify/notify.js'
const notifier = openNotifier()
notifier.send('READY=1')
setInterval(() => notifier.send('WATCHDOG=1'), 1_000)
`
/** Whatever was asked for, a line each. */
const PAGE = `import { createServer } from 'node:http'
import { appendFileSync } from 'node:fs'
createServer((request, response) => {
  appendFileSync('/var/asked', request.url + ' ' + request.headers['user-agent'] + '\\n')
  response.setHeader('content-type', 'text/html')
  response.end('<h1>parley</h1>')
}).listen(8137, '127.0.0.1')
`
/** Pids of the unit's processes whose command line has the pattern. */
const pids = (pattern: string): string => `for p in /proc/[0-9]*; do grep -qs parley-screen.service $p/cgroup && tr '\\0' ' ' <$p/cmdline | grep -q -e '${pattern}' && echo \${p#/proc/}; done; true`

t.test('a device with --screen shows its page from the boot on', { skip }, async t => {
  const from = await sourceTree(t, MAIN)
  await using box = await Container.prepare()
  const see = { '/source': from }
  const installed = await box.before(['sh', '/source/deploy/install.sh', '--screen'], see, 400_000).catch(error => String(error.stdout) + String(error.stderr))
  if (!/installed\. Next/.test(installed)) return t.fail(installed.slice(-1_500))

  // The unit is as it is on a device, but for the screen that a container has not: no DRM card, no virtual terminal.
  await box.put('etc/systemd/system/parley-screen.service.d/test.conf', '[Unit]\nConditionPathExistsGlob=\n[Service]\nEnvironment=WLR_BACKENDS=headless,libinput WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1\n')
  await box.put('etc/systemd/system/seatd.service.d/test.conf', '[Service]\nEnvironment=SEATD_VTBOUND=0\n')
  await box.put('usr/local/page.mjs', PAGE)
  await box.put('etc/systemd/system/page.service', '[Service]\nExecStart=/usr/bin/node /usr/local/page.mjs\n')
  await box.boot(see)

  const journal = (): Promise<string> => box.run('journalctl', '--no-pager', '-n', '30', '-u', 'parley-screen.service', '-u', 'seatd.service').catch(String)
  /** What was asked for since the last call. */
  const asked = async (limitMs: number): Promise<string> => {
    for (const end = performance.now() + limitMs; performance.now() < end; await delay(250)) {
      const text = await readFile(box.path('var/asked'), 'utf8').catch(() => '')
      if (!text.includes('\n')) continue
      await delay(3_000) // whatever else a start asks for, a little picture for the tab among it
      await rm(box.path('var/asked'))
      return text
    }
    return ''
  }
  const kill = (pattern: string): Promise<string> => box.run('sh', '-c', `kill -KILL $(${pids(pattern)})`)

  await t.test('it waits while nobody serves the page, without a browser', async t => {
    t.equal(await box.until('parley-screen.service', 'ActiveState', /^active$/, 30_000), 'active', await journal())
    t.equal(await box.run('sh', '-c', pids('chromium')), '')
  })

  await t.test('the browser asks for the page', async t => {
    await box.run('systemctl', 'start', 'page.service')
    t.match(await asked(60_000), /^\/ .*Chrome\//, await journal())
    t.equal(await box.show('parley-screen.service', 'User'), 'parley-screen')
    t.equal(await box.show('parley-screen.service', 'NRestarts'), '0', await journal())
  })

  await t.test('seatd gave it the seat', async t => {
    t.match(await journal(), /Opened client \d+ on seat0/)
  })

  await t.test('the page runs in Chromium\'s own sandbox, inside that of the unit', async t => {
    const [page, browser] = await Promise.all(['--type=renderer', '--kiosk'].map(async pattern => (await box.run('sh', '-c', pids(pattern))).split('\n')[0]))
    const of = (pid: string | undefined, what: string): Promise<string> => box.run('readlink', `/proc/${pid}/ns/${what}`)
    for (const space of ['user', 'pid', 'net']) t.not(await of(page, space), await of(browser, space), space)
    t.match(await box.run('cat', `/proc/${page}/status`), /NoNewPrivs:\t1\nSeccomp:\t2/)
  })

  for (const [what, pattern, limitMs] of [['cage', '^cage ', 40_000], ['the browser', '^/usr/lib/chromium/chromium .*--kiosk', 40_000], ['only the page', '--type=renderer', 100_000]] as const) {
    await t.test(`${what} killed, the page comes back`, async t => {
      const before = Number(await box.show('parley-screen.service', 'NRestarts'))
      await kill(pattern)
      t.match(await asked(limitMs), /^\/ /, await journal())
      t.equal(Number(await box.show('parley-screen.service', 'NRestarts')), before + 1)
    })
  }

  await t.test('whoever serves the page started anew, it is shown anew', async t => {
    await box.run('systemctl', 'restart', 'page.service')
    t.match(await asked(60_000), /^\/ /, await journal())
  })

  await t.test('a clean stop takes less than two seconds, is no failure and leaves nobody behind', async t => {
    const began = performance.now()
    await box.run('systemctl', 'stop', 'parley-screen.service')
    t.ok(performance.now() - began < 2_000, `${Math.round(performance.now() - began)} ms`)
    t.equal(await box.show('parley-screen.service', 'Result'), 'success', await journal())
    t.notMatch(await journal(), /Assertion/, 'cage did not abort')
    t.equal(await box.run('sh', '-c', 'ps -u parley-screen -o comm= 2>/dev/null || true'), '')
  })

  await t.test('--uninstall takes the screen off', async t => {
    await box.run('systemctl', 'start', 'parley-screen.service')
    await box.run('sh', '/source/deploy/install.sh', '--uninstall')
    t.equal(await box.show('parley-screen.service', 'LoadState'), 'not-found')
    t.equal(await box.run('sh', '-c', 'ls -d /var/lib/parley-screen /etc/systemd/system/parley.target.wants 2>/dev/null || true'), '')
  })
})
