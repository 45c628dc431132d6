import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openMicrophone, openSpeaker } from '../../runtime/compose/open-sound.js'
import { findCard } from '../../runtime/compose/sound-card.js'
import { testHost } from '../drivers/host.js'

// No server, and nobody's own configuration of ALSA.
process.env['PULSE_SERVER'] = 'unix:/nowhere'
delete process.env['ALSA_CONFIG_PATH']
process.env['HOME'] = '/nowhere'

type Card = [id: string, kind: string, ...streams: string[]]

/** What the kernel shows of these cards, by their numbers. */
async function proc(root: string, ...cards: Card[]): Promise<string> {
  const lines = cards.map(([id, kind], n) => ` ${n} [${id.padEnd(15)}]: ${kind} - ${id}\n                      ${id} at usb-xhci-${n}, full speed\n`)
  for (const [n, [, , ...streams]] of cards.entries()) for (const name of streams) await mkdir(join(root, `proc/asound/card${n}`, name), { recursive: true })
  await mkdir(join(root, 'proc/asound'), { recursive: true })
  await writeFile(join(root, 'proc/asound/cards'), lines.join('') || '--- no soundcards ---\n')
  return root
}

const HDMI: Card = ['HDA', 'HDA-Intel', 'pcm3p', 'pcm7p']
const BOARD: Card = ['APE', 'tegra-ape', 'pcm0c', 'pcm0p']
const WEBCAM: Card = ['C920', 'USB-Audio', 'pcm0c']
const OURS: Card = ['parleyusb', 'USB-Audio', 'pcm0c', 'pcm0p']

t.test('the card is found by its id, whatever its number: ours, else a USB one, else the first that can', async t => {
  const both = async (...cards: Card[]): Promise<(string | undefined)[]> => {
    const root = await proc(t.testdir(), ...cards)
    return [await findCard('microphone', root), await findCard('speaker', root)]
  }
  t.same(await both(HDMI, WEBCAM, OURS), ['plughw:CARD=parleyusb', 'plughw:CARD=parleyusb'])
  t.same(await both(OURS, HDMI), ['plughw:CARD=parleyusb', 'plughw:CARD=parleyusb'])
  t.same(await both(BOARD, WEBCAM), ['plughw:CARD=C920', 'plughw:CARD=APE'], 'each direction has its own')
  t.same(await both(HDMI), [undefined, 'plughw:CARD=HDA'])
  t.same(await both(), [undefined, undefined])
})

t.test('a microphone and a player that name no device open that card; a device that is named stays', async t => {
  const root = await proc(t.testdir({ bin: {} }), HDMI, OURS)
  const asked = join(root, 'asked')
  for (const [program, then] of [['arecord', 'exec cat /dev/zero'], ['aplay', 'exec cat']] as const) {
    await writeFile(join(root, 'bin', program), `#!/bin/sh\necho ${program} "$@" >>${asked}\n${then}\n`)
    await chmod(join(root, 'bin', program), 0o755)
  }
  process.env['PATH'] = `${join(root, 'bin')}:${process.env['PATH']}`
  {
    await using _ = await openMicrophone({ driver: 'alsa' }, testHost(), root)
    await using __ = await openMicrophone({ driver: 'auto' }, testHost(), root)
    await using ___ = await openMicrophone({ driver: 'alsa', device: 'hw:CARD=Mine' }, testHost(), root)
    await using speaker = await openSpeaker({ driver: 'pipe', program: 'aplay' }, 16_000, testHost(), root)
    await speaker.write(new Float32Array(320))
    await speaker.drain()
  }
  const devices = (await readFile(asked, 'utf8')).trim().split('\n').map(line => `${line.split(' ')[0]} ${/-D (\S+)/.exec(line)?.[1]}`)
  t.same(devices, ['arecord plughw:CARD=parleyusb', 'arecord plughw:CARD=parleyusb', 'arecord hw:CARD=Mine', 'aplay plughw:CARD=parleyusb'])
})

t.test('without a card it is said so at once; an owner\'s own configuration of ALSA is left to ALSA', async t => {
  const root = await proc(t.testdir())
  await t.rejects(openMicrophone({ driver: 'alsa' }, testHost(), root), { code: 'device-missing', message: /no sound card with a microphone/, hint: /parley devices/ })
  await t.rejects(openSpeaker({ driver: 'speaker' }, 16_000, testHost(), root), { code: 'device-missing', message: /no sound card with a speaker/ })
  await mkdir(join(root, 'etc'))
  await writeFile(join(root, 'etc/asound.conf'), '')
  await t.rejects(openSpeaker({ driver: 'speaker' }, 16_000, testHost(), root), { code: 'device-missing', message: /default cannot be opened/ })
})
