import t from 'tap'
import type { Camera } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { NetworkCamera, children, first, host, isRed, redJpeg, until } from './kit.js'

const open = (type: string, config: Record<string, unknown>): Promise<Camera> => openDriver('camera', type, { width: 64, height: 48, fps: 10, ...config }, host().host)

/** What a driver for live sources must do with a network camera; each driver's tests are a file of their own, as tap gives a file 30 s. */
export function networkCameraTests(type: string, skip: string | false): void {
  const red = redJpeg()

  t.test(`${type}: MJPEG over HTTP gives small frames of the right colours, as fast as asked`, { timeout: 20_000, skip }, async t => {
    await using network = new NetworkCamera(red)
    await using camera = await open(type, { source: await network.open(), fps: 5 })
    t.ok(isRed(await first(camera.frames(), 8_000)))
    const before = camera.health().counters['frames'] ?? 0
    await new Promise(resolve => setTimeout(resolve, 2_000))
    const rate = ((camera.health().counters['frames'] ?? 0) - before) / 2
    t.ok(rate >= 3 && rate <= 6, `${rate} frames a second`)
    const cost = camera.health().counters['frameCostUs']
    if (cost) t.comment(`a frame costs ${cost} µs in the child`)
  })

  t.test(`${type}: a source that stalls is noticed within 2 s, its process killed, and it is found again`, { timeout: 30_000, skip }, async t => {
    await using network = new NetworkCamera(red)
    await using camera = await open(type, { source: await network.open() })
    await until(() => camera.health().ok, 8_000, 'a picture')
    const [before] = children()
    network.stalled = true
    const ms = await until(() => !camera.health().ok, 2_000, 'the stall is noticed')
    t.comment(`${type}: stall noticed after ${Math.round(ms)} ms: ${camera.health().detail}`)
    await until(() => !children().includes(before!), 1_000, 'the process is killed')
    network.stalled = false
    await until(() => camera.health().ok, 8_000, 'a picture again')
    t.match(camera.health().counters, { opened: 2, stalls: 1 })
  })

  t.test(`${type}: a source that hangs up is noticed within 2 s and found again`, { timeout: 30_000, skip }, async t => {
    await using network = new NetworkCamera(red)
    await using camera = await open(type, { source: await network.open() })
    await until(() => camera.health().ok, 8_000, 'a picture')
    network.hangUp()
    const ms = await until(() => camera.health().counters['lost'] === 1, 2_000, 'the loss is noticed')
    t.comment(`${type}: hang-up noticed after ${Math.round(ms)} ms`)
    await until(() => camera.health().ok, 8_000, 'a picture again')
  })

  t.test(`${type}: a process that is killed is noticed within 2 s and replaced`, { timeout: 30_000, skip }, async t => {
    await using network = new NetworkCamera(red)
    await using camera = await open(type, { source: await network.open() })
    await until(() => camera.health().ok, 8_000, 'a picture')
    process.kill(Number(children()[0]!.split(' ')[0]), 'SIGKILL')
    const ms = await until(() => !camera.health().ok, 2_000, 'the death is noticed')
    t.comment(`${type}: death noticed after ${Math.round(ms)} ms`)
    await until(() => camera.health().ok, 8_000, 'a picture again')
    t.equal(children().length, 1)
  })

  t.test(`${type}: a source that is not there yet is not an error, and is found when it comes`, { timeout: 30_000, skip }, async t => {
    await using probe = new NetworkCamera(red)
    const address = await probe.open()
    await probe[Symbol.asyncDispose]()
    await using camera = await open(type, { source: address })
    await until(() => (camera.health().counters['lost'] ?? 0) > 0, 8_000, 'the first failure')
    t.notOk(camera.health().ok)
    await using network = new NetworkCamera(red)
    await network.open(Number(new URL(address).port))
    await until(() => camera.health().ok, 10_000, 'a picture')
  })
}
