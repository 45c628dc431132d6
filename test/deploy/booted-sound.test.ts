import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Container, whyNot } from './container.js'
import { sourceTree } from './tree.js'

// A Debian is copied, the server is fetched, and it boots: a minute each on an idle machine.
t.setTimeout(480_000)
const skip = whyNot()
/** A card without hardware, which the owner's file brings. */
const CARD = 'load-module module-null-sink sink_name=spk norewinds=1\nload-module module-null-sink sink_name=room norewinds=1\nload-module module-remap-source source_name=mic master=room.monitor\nset-default-sink spk\nset-default-source mic\n'
/** In the place of the runtime: records which server it was given, and what it is told there. */
const MAIN = `
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { openNotifier } from '../../deploy/notify/notify.js'
let said
try { said = execFileSync('pactl', ['list', 'short', 'sources'], { encoding: 'utf8' }) } catch (error) { said = String(error) }
writeFileSync('/var/lib/parley/heard', said)
const notifier = openNotifier()
notifier.send('READY=1')
setInterval(() => notifier.send('WATCHDOG=1'), 1_000)
`

const SERVERS = [
  { audio: 'pulse', server: /Server Name: pulseaudio/, killed: 'pulseaudio' },
  { audio: 'pipewire', server: /Server Name: PulseAudio \(on PipeWire/, killed: 'wireplumber' },
] as const

for (const { audio, server, killed } of SERVERS) {
  t.test(`a device with --audio ${audio} has its sound server from the boot on, before the voice begins`, { skip }, async t => {
    const from = await sourceTree(t, MAIN)
    await using box = await Container.prepare()
    const see = { '/source': from }
    const installed = await box.before(['sh', '/source/deploy/install.sh', '--audio', audio], see).catch(error => String(error.stdout) + String(error.stderr))
    if (!/installed\. Next/.test(installed)) return t.fail(installed.slice(-1_500))
    await box.put('etc/parley/sound.pa', CARD)
    await box.boot()

    await t.test('the server runs as the unit says, with its canceller', async t => {
      t.equal(await box.until('parley-sound.service', 'ActiveState', /^active$/, 60_000), 'active', await box.journal('parley-sound.service'))
      t.equal(await box.show('parley-sound.service', 'StatusText'), 'with its echo canceller', await box.journal('parley-sound.service'))
    })

    await t.test('the voice, in its own sandbox, hears behind the canceller from its first start on', async t => {
      t.equal(await box.until('parley.service', 'ActiveState', /^active$/, 60_000), 'active', await box.journal('parley.service'))
      t.match(await readFile(box.path('var/lib/parley/heard'), 'utf8'), /\tparley_mic\t/)
      t.equal(await box.show('parley.service', 'NRestarts'), '0')
    })

    await t.test('root may use it, and nobody else may', async t => {
      const ask = (user: string): Promise<string> => box.run('setpriv', '--reuid', user, '--regid', user, '--clear-groups', 'env', 'PULSE_SERVER=unix:/run/parley-sound/native', 'pactl', 'info')
      t.match(await ask('root'), server)
      await t.rejects(ask('nobody'))
    })

    await t.test('a server that is killed comes back, with its canceller', async t => {
      await box.run('sh', '-c', `for p in /proc/[0-9]*; do if [ "$(cat $p/comm 2>/dev/null)" = ${killed} ]; then kill -KILL \${p#/proc/}; fi; done`)
      await box.until('parley-sound.service', 'NRestarts', /^[1-9]/, 20_000)
      t.equal(await box.until('parley-sound.service', 'StatusText', /with its echo canceller/, 40_000), 'with its echo canceller', await box.journal('parley-sound.service'))
    })
  })
}
