import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { DEBIAN } from './container.js'

// Debian's real udev, with all of Debian's own rules, over a /sys that is written here. What only a kernel can show: that it lets a
// card be renamed, and that it sends these events (docs/jetson-checklist.md).
const RULES = new URL('../../../systemd/udev/85-parley.rules', import.meta.url).pathname
const USB = 'devices/pci0000:00/0000:00:14.0/usb1/1-2'
const CARD = `${USB}/1-2:1.0/sound/card1`
t.setTimeout(60_000)

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'mounting needs root'
  if (!existsSync(join(DEBIAN, 'usr/bin/udevadm'))) return `there is no Debian root in ${DEBIAN} (deploy/boot-test/make-root.sh makes one)`
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0 ? false : 'nothing can be mounted on this machine (no namespaces)'
}
const skip = whyNot()

/** Everything is mounted in a namespace of its own, over the root that other tests copy. */
const SCRIPT = `set -e
mount --bind "$1/sys" "$2/sys"; mount --bind "$1/rules" "$2/etc/udev/rules.d"; mount --bind "$1/group" "$2/etc/group"
mount -t proc proc "$2/proc"; mount -t tmpfs tmpfs "$2/run"; mount -t tmpfs tmpfs "$2/dev"
root=$2; shift 2
exec chroot "$root" env SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test "$@" 2>&1`

/** A machine with one USB device; `classes`: class and subclass of its interfaces. */
class Machine {
  private constructor(readonly folder: string) {}

  static make(t: Test, classes: readonly (readonly [number, number])[] = [[1, 1], [1, 2]]): Machine {
    const folder = mkdtempSync(join(tmpdir(), 'parley-udev-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const machine = new Machine(folder)
    mkdirSync(join(folder, 'rules'))
    copyFileSync(RULES, join(folder, 'rules/85-parley.rules'))
    copyFileSync(join(DEBIAN, 'etc/group'), join(folder, 'group'))
    appendFileSync(join(folder, 'group'), 'gpio:x:990:\n') // made by systemd/sysusers.d
    const interfaces = classes.flatMap(([kind, sub], n) => [9, 4, n, 0, 0, kind, sub, 0, 0])
    // USB 2.0, 9.6: the device descriptor, one configuration, its interfaces.
    machine.put(USB, 'usb', { MAJOR: '189', MINOR: '1', DEVNAME: 'bus/usb/001/002', DEVTYPE: 'usb_device' }, { idVendor: '1234', idProduct: '5678', manufacturer: 'Acme', product: 'Phone', serial: '1', bcdDevice: '0100', 'power/control': 'auto' })
    writeFileSync(machine.path(`${USB}/descriptors`), Buffer.from([18, 1, 0, 2, 0, 0, 0, 64, 0x34, 0x12, 0x78, 0x56, 0, 1, 1, 2, 3, 1, 9, 2, 9 + interfaces.length, 0, classes.length, 1, 0, 0x80, 50, ...interfaces]))
    machine.put(`${USB}/1-2:1.0`, 'usb', { DEVTYPE: 'usb_interface' }, { bInterfaceNumber: '00', bInterfaceClass: classes[0]?.[0] === 1 ? '01' : '03', bInterfaceSubClass: '01', bInterfaceProtocol: '00' })
    return machine
  }

  path(name: string): string {
    return join(this.folder, 'sys', name)
  }

  put(device: string, subsystem: string, uevent: Readonly<Record<string, string>>, attributes: Readonly<Record<string, string>> = {}): void {
    const all = { uevent: Object.entries(uevent).map(([key, value]) => `${key}=${value}\n`).join(''), ...attributes }
    for (const [name, text] of Object.entries(all)) {
      mkdirSync(dirname(this.path(`${device}/${name}`)), { recursive: true })
      writeFileSync(this.path(`${device}/${name}`), text)
    }
    const kind = subsystem === 'usb' ? 'bus/usb' : `class/${subsystem}`
    mkdirSync(this.path(kind), { recursive: true })
    symlinkSync(`${'../'.repeat(device.split('/').length)}${kind}`, this.path(`${device}/subsystem`))
  }

  /** What udev says that it does for an event. */
  event(action: string, device: string): string {
    return execFileSync('unshare', ['-m', 'sh', '-c', SCRIPT, 'sh', this.folder, DEBIAN, `--action=${action}`, `/sys/${device}`], { encoding: 'utf8' })
  }

  attribute(name: string): string {
    return readFileSync(this.path(name), 'utf8')
  }
}

t.test('udev understands every line of the rules', { skip }, async t => {
  const machine = Machine.make(t)
  const said = machine.event('add', USB)
  t.match(said, 'Reading rules file: /etc/udev/rules.d/85-parley.rules')
  t.same(said.split('\n').filter(line => /85-parley\.rules:\d+ /.test(line) && !/ (ATTR|LINK|GROUP|MODE) /.test(line)), [])
})

t.test('a line that is wrong would be noticed', { skip }, async t => {
  const machine = Machine.make(t)
  appendFileSync(join(machine.folder, 'rules/85-parley.rules'), 'KERNELL=="x", NAME+="y"\n')
  t.match(machine.event('add', USB), /85-parley\.rules:\d+ (Invalid|Unknown)/)
})

t.test('a USB card is called parleyusb, and is /dev/parley/sound to systemd', { skip }, async t => {
  const machine = Machine.make(t)
  machine.put(CARD, 'sound', {}, { id: 'Phone', number: '1' })
  const said = machine.event('change', CARD) // of Debian's 78-sound-card.rules, once all of the card is there
  t.equal(machine.attribute(`${CARD}/id`), 'parleyusb')
  t.match(said, /^SYSTEMD_ALIAS=\/dev\/parley\/sound$/m)
  t.match(said, /^CURRENT_TAGS=.*:systemd:/m)
})

t.test('its two ends are /dev/parley/microphone and /dev/parley/speaker', { skip }, async t => {
  const machine = Machine.make(t)
  machine.put(CARD, 'sound', {}, { id: 'Phone' })
  for (const [name, link] of [['pcmC1D0c', 'microphone'], ['pcmC1D0p', 'speaker']] as const) {
    machine.put(`${CARD}/${name}`, 'sound', { MAJOR: '116', MINOR: '4', DEVNAME: `snd/${name}` })
    t.match(machine.event('add', `${CARD}/${name}`), new RegExp(`^DEVLINKS=/dev/parley/${link}$`, 'm'))
  }
})

t.test('a card that is soldered in keeps its name', { skip }, async t => {
  const machine = Machine.make(t)
  const card = 'devices/platform/soc/sound/card0'
  machine.put(card, 'sound', {}, { id: 'HDMI' })
  machine.put(`${card}/pcmC0D0p`, 'sound', { MAJOR: '116', MINOR: '5', DEVNAME: 'snd/pcmC0D0p' })
  machine.event('change', card)
  t.equal(machine.attribute(`${card}/id`), 'HDMI')
  t.notMatch(machine.event('add', `${card}/pcmC0D0p`), /parley\/speaker/)
})

t.test('a USB microphone does not sleep, a keyboard may', { skip }, async t => {
  const phone = Machine.make(t)
  phone.event('add', USB)
  t.match(phone.attribute(`${USB}/power/control`), /^on/)
  const keyboard = Machine.make(t, [[3, 1]])
  keyboard.event('add', USB)
  t.match(keyboard.attribute(`${USB}/power/control`), /^auto/)
})

t.test('the picture stream of a camera is /dev/parley/camera, its metadata stream is not', { skip }, async t => {
  const machine = Machine.make(t, [[14, 1]])
  const camera = (n: number, capabilities: string): string => {
    const device = `${USB}/1-2:1.0/video4linux/video${n}`
    // v4l_id would ask the camera itself.
    machine.put(device, 'video4linux', { MAJOR: '81', MINOR: String(n), DEVNAME: `video${n}`, ID_V4L_CAPABILITIES: capabilities }, { index: String(n) })
    return machine.event('add', device)
  }
  t.match(camera(0, ':capture:'), /^DEVLINKS=.*\/dev\/parley\/camera/m)
  t.notMatch(camera(1, ':'), /parley\/camera/)
})

t.test('the pins belong to the group gpio', { skip }, async t => {
  const machine = Machine.make(t)
  machine.put('devices/platform/pins/gpiochip0', 'gpio', { MAJOR: '254', MINOR: '0', DEVNAME: 'gpiochip0' })
  const said = machine.event('add', 'devices/platform/pins/gpiochip0')
  t.match(said, /85-parley\.rules:\d+ GROUP 990/)
  t.match(said, /85-parley\.rules:\d+ MODE 0660/)
})

t.test('what is unplugged is left to the kernel', { skip }, async t => {
  const machine = Machine.make(t)
  machine.put(CARD, 'sound', {}, { id: 'Phone' })
  machine.event('remove', CARD)
  t.equal(machine.attribute(`${CARD}/id`), 'Phone')
})
