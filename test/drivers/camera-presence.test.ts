import t from 'tap'
import type { Reading } from '../../base/frames.js'
import { tellsPresence, type PresenceCamera } from '../../drivers/camera/presence.js'
import { openDriver } from '../../drivers/table.js'
import { NetworkCamera, children, faceJpeg, host, redJpeg, until, withoutOpencv } from './kit.js'

async function open(type: string, config: Record<string, unknown>): Promise<PresenceCamera> {
  const camera = await openDriver('camera', type, { width: 64, height: 48, ...config }, host().host)
  if (!tellsPresence(camera)) throw new Error(`${type} does not tell presence`)
  return camera
}

function gather(camera: PresenceCamera): Reading[] {
  const readings: Reading[] = []
  void (async () => {
    for await (const reading of camera.readings()) readings.push(reading)
  })()
  return readings
}

t.test('opencv: a real face in the picture arrives, stays, and leaves', { timeout: 40_000, skip: withoutOpencv() }, async t => {
  const [empty, face] = [redJpeg(), faceJpeg()]
  await using network = new NetworkCamera(empty)
  await using camera = await open('opencv', { source: await network.open(), presence: {} })
  const readings = gather(camera)
  await until(() => camera.health().ok, 8_000, 'a picture')
  await new Promise(resolve => setTimeout(resolve, 800))
  t.same(readings, [], 'nobody there')
  network.picture = face
  const arriveMs = await until(() => readings.length === 1, 10_000, 'arrived')
  t.match(readings[0], { source: 'person', value: 'arrived' })
  t.comment(`arrived after ${Math.round(arriveMs)} ms; a look costs ${camera.health().counters['faceCostUs']} µs`)
  await new Promise(resolve => setTimeout(resolve, 1_500))
  t.equal(readings.length, 1)
  network.picture = empty
  const leaveMs = await until(() => readings.length === 2, 10_000, 'left')
  t.match(readings[1], { source: 'person', value: 'left' })
  t.comment(`left after ${Math.round(leaveMs)} ms`)
  t.ok(camera.health().counters['stayedSeconds']! >= 1)
})

t.test('opencv: who was there when the camera is lost has left after a while', { timeout: 40_000, skip: withoutOpencv() }, async t => {
  const network = new NetworkCamera(faceJpeg())
  await using camera = await open('opencv', { source: await network.open(), presence: {} })
  const readings = gather(camera)
  await until(() => readings.length === 1, 10_000, 'arrived')
  await network[Symbol.asyncDispose]()
  await until(() => readings.length === 2, 5_000, 'left')
  t.match(readings[1], { value: 'left' })
})

t.test('fake: people come and go as its script says', { timeout: 10_000 }, async t => {
  await using camera = await open('fake', { fps: 50, people: [[100, 500]], presence: { arriveMs: 100, leaveMs: 200 } })
  const readings = gather(camera)
  await until(() => readings.length === 2, 5_000, 'both')
  t.match(readings, [{ value: 'arrived' }, { value: 'left' }])
})

t.test('no process is left by all of these', async t => {
  t.same(children(), [])
})
