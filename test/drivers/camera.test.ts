import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ImageFrame } from '../../base/frames.js'
import { RgbCutter } from '../../drivers/camera/rgb-cutter.js'
import { findBinding } from '../../drivers/camera/opencv-binding.js'
import type { Camera } from '../../drivers/contract.js'
import { canRest } from '../../drivers/camera/presence.js'
import { openDriver } from '../../drivers/table.js'
import { children, ffmpeg, first, host, isRed, redJpeg, tempFolder, until, withoutOpencv } from './kit.js'

const folder = tempFolder()
const red = redJpeg()
const still = join(folder, 'red.jpg')
const video = join(folder, 'video.mkv')
writeFileSync(still, red)
for (const i of [1, 2, 3]) writeFileSync(join(folder, `frame${i}.jpg`), red)
ffmpeg('-f', 'lavfi', '-i', 'color=red:size=320x240:rate=10', '-t', '1', '-c:v', 'mjpeg', video)

const open = (type: string, config: Record<string, unknown>): Promise<Camera> => openDriver('camera', type, { width: 64, height: 48, fps: 10, ...config }, host().host)

/** All frames until the end. */
async function all(camera: Camera): Promise<ImageFrame[]> {
  const frames: ImageFrame[] = []
  for await (const frame of camera.frames()) frames.push(frame)
  return frames
}

t.test('frames are cut from any chunks, each stamped when its first byte came', async t => {
  const bytes = Uint8Array.from({ length: 36 }, (_, i) => i)
  for (const size of [1, 5, 12, 17, 36]) {
    const cutter = new RgbCutter(2, 2)
    const frames: ImageFrame[] = []
    for (let from = 0; from < 36; from += size) frames.push(...cutter.cut(bytes.subarray(from, from + size), from))
    t.same(frames.map(f => [...f.rgb]), [0, 12, 24].map(i => [...bytes.subarray(i, i + 12)]), `chunks of ${size}`)
    t.ok(frames.every((f, i) => f.at <= i * 12 && f.at > i * 12 - size), `stamps with chunks of ${size}`)
  }
})

t.test('file: a still is one frame, a sequence and a video play in real time and end', { timeout: 20_000 }, async t => {
  await using one = await open('file', { path: still })
  const frames = await all(one)
  t.equal(frames.length, 1)
  t.ok(isRed(frames[0]!))
  for (const [path, least] of [[join(folder, 'frame%d.jpg'), 3], [video, 8]] as const) {
    await using camera = await open('file', { path })
    const played = await all(camera)
    t.ok(played.length >= least && played.every(isRed), `${path}: ${played.length} frames`)
  }
})

t.test('file: a path that does not exist is refused at once', async t => {
  await t.rejects(open('file', { path: '/no/such.mp4' }), { code: 'no-file' })
})

t.test('opencv: a still is one frame, a sequence and a video play in real time and end', { timeout: 20_000, skip: withoutOpencv() }, async t => {
  for (const [source, least] of [[still, 1], [join(folder, 'frame%d.jpg'), 3], [video, 8]] as const) {
    await using camera = await open('opencv', { source })
    const frames = await all(camera)
    t.ok(frames.length >= least && frames.every(isRed), `${source}: ${frames.length} frames`)
  }
})

t.test('opencv: a looped file goes on', { timeout: 20_000, skip: withoutOpencv() }, async t => {
  await using camera = await open('opencv', { source: join(folder, 'frame%d.jpg'), loop: true })
  await until(() => (camera.health().counters['frames'] ?? 0) >= 8, 8_000, 'more frames than the file holds')
  t.equal(camera.health().counters['opened'], 1, 'in one process')
})

t.test('opencv: a GStreamer pipeline is a camera', { timeout: 20_000, skip: withoutOpencv() }, async t => {
  await using camera = await open('opencv', { source: 'videotestsrc pattern=red is-live=true ! video/x-raw,width=320,height=240 ! videoconvert ! video/x-raw,format=BGR ! appsink' })
  await until(() => camera.health().ok || (camera.health().counters['lost'] ?? 0) > 0, 8_000, 'a frame or a reason')
  if (!camera.health().ok) return t.pass('a GStreamer pipeline', { skip: `GStreamer's parts are not installed here: ${camera.health().detail}` })
  t.ok(isRed(await first(camera.frames(), 2_000)))
})

t.test('opencv: without its binding the error names the command that builds it', async t => {
  t.throws(() => findBinding(tempFolder()), { code: 'no-opencv', hint: /npm run setup:camera/ })
})

t.test('a consumer that is late gets the newest frames, and those lost are counted', { timeout: 10_000 }, async t => {
  await using camera = await open('fake', { fps: 50 })
  await until(() => (camera.health().counters['dropped'] ?? 0) >= 10, 5_000, 'drops')
  const frame = await first(camera.frames(), 5_000)
  t.ok(performance.now() - frame.at < 2_000)
})

t.test('a camera that rests has no process, is well, and comes back by itself', { timeout: 20_000 }, async t => {
  await using camera = await open('file', { path: video, loop: true })
  if (!canRest(camera)) return t.fail('it cannot rest')
  const frames = (): number => camera.health().counters['frames']!
  await until(() => frames() > 0, 8_000, 'a picture')
  camera.rest(true)
  await until(() => children().length === 0, 3_000, 'its process is gone')
  t.match(camera.health(), { ok: true, detail: /rests/ })
  const before = frames()
  camera.rest(false)
  await until(() => frames() > before, 8_000, 'a new picture')
  t.equal(camera.health().counters['lost'], 0)
})
