import { readFile, readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { isThere } from '../../base/files.js'
import { soundServer } from './sound-devices.js'

type Direction = 'microphone' | 'speaker'

/** `proc/asound/cards`: ` 1 [parleyusb      ]: USB-Audio - Jabra SPEAK 510`, and a second line that says more. */
const CARD = /^\s*(\d+) \[(\S+)\s*\]: (\S+)/gm
/** The id that our udev rule gives to a USB speakerphone. */
const OURS = 'parleyusb'

/**
 * The sound card for this direction as ALSA's stable name, `plughw:CARD=ID`; undefined where there is none. Our own, else a USB
 * one, else the first: a board's HDMI outputs come first, and nobody listens there. A card's number changes with what is plugged in.
 */
export async function findCard(direction: Direction, root = '/'): Promise<string | undefined> {
  const folder = join(root, 'proc/asound')
  const text = await readFile(join(folder, 'cards'), 'utf8').catch(() => '') // without the sound modules there is no such file
  const able: { id: string; rank: number }[] = []
  for (const [, number = '', id = '', kind = ''] of text.matchAll(CARD)) {
    const streams = await readdir(join(folder, `card${number}`)).catch(() => []) // unplugged this very moment
    if (!streams.some(name => (direction === 'microphone' ? /^pcm\d+c$/ : /^pcm\d+p$/).test(name))) continue
    able.push({ id, rank: id === OURS ? 0 : kind === 'USB-Audio' ? 1 : 2 })
  }
  const [best] = able.sort((a, b) => a.rank - b.rank)
  return best && `plughw:CARD=${best.id}`
}

/**
 * The card for a driver of ALSA that names no device. Undefined: ALSA's own default, where a sound server has the cards or the
 * owner has configured ALSA. Throws `device-missing`: there is no card.
 */
export async function cardFor(direction: Direction, root = '/'): Promise<string | undefined> {
  if ((await isOwners(root)) || (await soundServer()) !== undefined) return undefined
  const card = await findCard(direction, root)
  if (card !== undefined) return card
  throw new ParleyError('device-missing', `there is no sound card with a ${direction}`, { hint: 'Plug one in; `parley devices` and `dmesg | tail` show it.' })
}

async function isOwners(root: string): Promise<boolean> {
  if (process.env['ALSA_CONFIG_PATH']) return true
  return (await isThere(join(root, 'etc/asound.conf'))) || isThere(join(homedir(), '.asoundrc'))
}
