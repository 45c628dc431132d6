import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isThere } from '../../base/files.js'

const SCRIPT = new URL('../../../deploy/screen/screen.sh', import.meta.url).pathname
t.setTimeout(60_000)

/** `screen.sh` over a /proc that the test writes, with a cage that only starts what it is given, and a browser that only sleeps. */
class Screen {
  readonly folder: string
  said = ''
  #child: ChildProcess | undefined

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(t: Test): Promise<Screen> {
    const screen = new Screen(await mkdtemp(join(tmpdir(), 'parley-screen-')))
    t.teardown(async () => {
      screen.#child?.kill('SIGKILL')
      await rm(screen.folder, { recursive: true, force: true })
    })
    for (const name of ['proc/net', 'proc/7', 'state/profile']) await mkdir(join(screen.folder, name), { recursive: true })
    await writeFile(join(screen.folder, 'cage'), `#!/bin/sh\ntrap ': >"${screen.folder}/aborted"; exit 134' TERM\nshift 2\n"$@" &\nwait\n`, { mode: 0o755 })
    await writeFile(join(screen.folder, 'browser'), `#!/bin/sh\n: >"${screen.folder}/opened"\nexec sleep 60\n`, { mode: 0o755 })
    await screen.serve(undefined)
    await screen.render(true)
    return screen
  }

  /** As the kernel writes it; `inode`: of the socket that listens. */
  async serve(inode: number | undefined): Promise<void> {
    const line = (port: string, state: string, of: number): string => `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${of} 1\n`
    // A connection to the port, and another server, are none.
    await writeFile(join(this.folder, 'proc/net/tcp'), `  sl  local_address\n${line('1FC9', '01', 5)}${line('1FCA', '0A', 6)}${inode === undefined ? '' : line('1FC9', '0A', inode)}`)
  }

  async render(is: boolean): Promise<void> {
    await writeFile(join(this.folder, 'proc/7/cmdline'), `/usr/lib/chromium/chromium\0--type=${is ? 'renderer' : 'zygote'}\0`)
  }

  start(): Promise<number | null> {
    const child = spawn('sh', [SCRIPT], { env: { PATH: `${this.folder}:${process.env['PATH']}`, PARLEY_PROC: join(this.folder, 'proc'), STATE_DIRECTORY: join(this.folder, 'state'), RUNTIME_DIRECTORY: this.folder, PARLEY_BROWSER: join(this.folder, 'browser'), PARLEY_SCREEN_S: '0.05' }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (this.said += text))
    return once(child, 'exit').then(([code]) => code as number | null)
  }

  signal(): void {
    this.#child?.kill('SIGTERM')
  }

  async opened(): Promise<void> {
    for (let i = 0; i < 400; i++) {
      if (await this.has('opened')) return
      await delay(25)
    }
    throw new Error(`the browser was not opened: ${this.said}`)
  }

  has(name: string): Promise<boolean> {
    return isThere(join(this.folder, name))
  }
}

t.test('the browser is opened once somebody serves the page, and not before', async t => {
  const screen = await Screen.open(t)
  const ended = screen.start()
  await delay(400)
  t.notOk(await screen.has('opened'))
  t.match(screen.said, /waits until a page is served/)
  await screen.serve(11)
  await screen.opened()
  screen.signal()
  t.equal(await ended, 0)
})

t.test('told to end, it ends the browser and leaves cage to end by itself, which would abort', async t => {
  const screen = await Screen.open(t)
  await screen.serve(11)
  const ended = screen.start()
  await screen.opened()
  screen.signal()
  t.equal(await ended, 0)
  t.notOk(await screen.has('aborted'))
  const browser = Number(await readFile(join(screen.folder, 'browser.pid'), 'utf8'))
  t.throws(() => process.kill(browser, 0), { code: 'ESRCH' })
})

t.test('a browser that does not end when it is told to is left to systemd after three seconds', async t => {
  const screen = await Screen.open(t)
  await writeFile(join(screen.folder, 'browser'), `#!/bin/sh\ntrap '' TERM\n: >"${screen.folder}/opened"\nexec sleep 8\n`, { mode: 0o755 })
  await screen.serve(11)
  const ended = screen.start()
  await screen.opened()
  screen.signal()
  t.equal(await ended, 0)
})

t.test('told to end while it waits, it ends', async t => {
  const screen = await Screen.open(t)
  const ended = screen.start()
  await delay(200)
  screen.signal()
  t.equal(await ended, 0)
})

t.test('locks that a power cut left in the profile do not keep the browser from starting', async t => {
  const screen = await Screen.open(t)
  await writeFile(join(screen.folder, 'state/profile/SingletonLock'), '')
  await screen.serve(11)
  const ended = screen.start()
  await screen.opened()
  t.notOk(await screen.has('state/profile/SingletonLock'))
  screen.signal()
  await ended
})

t.test('a page whose process died makes the screen begin anew', async t => {
  const screen = await Screen.open(t)
  await screen.serve(11)
  const ended = screen.start()
  await screen.opened()
  await screen.render(false)
  t.equal(await ended, 1)
  t.match(screen.said, /shows no page any more/)
})

t.test('another server of the page makes the screen begin anew; a pause of the same one does not', async t => {
  const screen = await Screen.open(t)
  await screen.serve(11)
  const ended = screen.start()
  await screen.opened()
  await screen.serve(undefined)
  await delay(300)
  await screen.serve(11)
  await delay(300)
  t.notMatch(screen.said, /anew/)
  await screen.serve(12)
  t.equal(await ended, 1)
  t.match(screen.said, /another program serves the page/)
})
