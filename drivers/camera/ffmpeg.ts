import { z } from 'zod'
import type { Host } from '../contract.js'
import { FfmpegSource } from './ffmpeg-source.js'
import { cameraSettings, notAnOption } from './settings.js'
import { SupervisedCamera } from './supervised-camera.js'

export const schema = z.strictObject({
  driver: z.literal('ffmpeg'),
  ...cameraSettings,
  /** A V4L2 index or device, or an address (HTTP MJPEG, RTSP). Files are for the `file` driver. */
  source: z.union([z.number().int().min(0), notAnOption]).default(0),
})
export type Config = z.infer<typeof schema>

/** A live source stamps by the wall clock (MJPEG has no times of its own), is probed shortly, and is not buffered. */
const LIVE = ['-fflags', 'nobuffer', '-flags', 'low_delay', '-analyzeduration', '500000', '-use_wallclock_as_timestamps', '1']

function inputArguments(source: number | string): string[] {
  const path = typeof source === 'number' ? `/dev/video${source}` : source
  if (path.startsWith('/dev/')) return [...LIVE, '-f', 'v4l2', '-i', path]
  if (/^rtsps?:/.test(path)) return [...LIVE, '-rtsp_transport', 'tcp', '-i', path]
  // Should we be killed while the network is silent, ffmpeg must not wait for ever without us: 5 s, in µs.
  return [...LIVE, ...(/^https?:/.test(path) ? ['-rw_timeout', '5000000'] : []), '-i', path]
}

/** The light default: an ffmpeg child gives small RGB frames. A source that is away is waited for. */
export async function open(config: Config, host: Host): Promise<SupervisedCamera> {
  const { width, height, fps } = config
  const source = new FfmpegSource({ input: inputArguments(config.source), width, height, fps, finite: false }, host.clock)
  return new SupervisedCamera(config, source, host).start()
}
