import { appendFile, copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readWav } from '../../base/wav.js'
import { Container, whyNot } from './container.js'
import { handedOver } from './handed-over.js'
import { ROOT } from './tree.js'

// A Debian is copied, packages are fetched, 120 MB are packed and unpacked, and it boots: two minutes each on an idle machine.
t.setTimeout(900_000)
const skip = whyNot()
/** A card without hardware: what is played into `room` is heard by the microphone, what the device says is in `spk`. */
const CARD = 'load-module module-null-sink sink_name=spk norewinds=1\nload-module module-null-sink sink_name=room norewinds=1\nload-module module-remap-source source_name=mic master=room.monitor\nset-default-sink spk\nset-default-source mic\n'
const SITE = '\n[facts]\nhours = "8 to 20"\nmuffin = "2 euros"\nrestroom = "left of the entrance"\n'
/** For so long the loudspeaker is recorded, s; the person asks a second after it began. */
const LISTEN = 9
/** On a machine with other work a step can come too late; then a person asks again. */
const TRIES = 3
const SPEECH = 0.05
/** So much of an answer is louder than that, s. Of a click it is a ms. */
const LEAST = 0.1

for (const audio of ['pulse', 'pipewire']) {
  t.test(`deploy/install.sh --audio ${audio} alone makes a clean Debian talk: a person asks, and the shipped pico answers at the sound server`, { skip }, async t => {
    const from = await handedOver(t, join(ROOT, 'models/pico'))
    await using box = await Container.prepare(false)
    const see = { '/source': from, '/dependencies': join(ROOT, 'node_modules') }
    const said = await box.before(['sh', '/source/deploy/install.sh', '--audio', audio], see).catch(error => String(error.stdout) + String(error.stderr))
    if (!/installed\. Next/.test(said)) return t.fail(said.slice(-1_500))
    await box.put('etc/parley/sound.pa', CARD)
    // What the installer wrote stays: it must talk with its own settings.
    const settings = box.path('etc/parley/parley.toml')
    t.match(await readFile(settings, 'utf8'), /\[microphone\]\ndriver = "pulse"\n\n\[speaker\]\ndriver = "pipe"/)
    await appendFile(settings, SITE)
    await copyFile(join(ROOT, 'test/fixtures/where-is-the-restroom.wav'), box.path('root/asks.wav'))
    await box.boot(see)

    t.equal(await box.until('parley.service', 'ActiveState', /^active$/, 90_000), 'active', await box.journal('parley.service'))
    // The cable of the card without hardware: PipeWire 0.3.48 (Ubuntu 22.04) does not find `room.monitor`, newer ones do.
    if (audio === 'pipewire') await box.run('sh', '-c', 'export XDG_RUNTIME_DIR=/run/parley-sound/server; for side in FL FR; do pw-link room:monitor_$side input.mic:input_$side || true; done')
    let [loud, first] = [0, NaN]
    for (let n = 1; n <= TRIES && loud <= LEAST; n++) {
      await box.run('sh', '-c', `export PULSE_SERVER=unix:/run/parley-sound/native; timeout ${LISTEN} parec -d spk.monitor --file-format=wav /root/answer.wav & sleep 1; paplay -d room /root/asks.wav; wait`)
      const { samples, rate } = await readWav(box.path('root/answer.wav'))
      loud = samples.filter(s => Math.abs(s) > SPEECH).length / rate
      first = samples.findIndex(s => Math.abs(s) > SPEECH) / rate
      t.comment(`asked ${n} times: it sounds from ${first.toFixed(2)} s on, ${loud.toFixed(2)} s above ${SPEECH}`)
    }
    t.ok(loud > LEAST, 'speech comes out of the loudspeaker')
    t.ok(first > 1.5, 'after the person began, not of its own')
    t.equal(await box.show('parley.service', 'NRestarts'), '0')
    t.match(await box.run('parley', 'doctor', '--json').catch(error => String(error.stdout)), /golden/)
  })
}
