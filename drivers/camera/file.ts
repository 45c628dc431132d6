import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { FfmpegSource } from './ffmpeg-source.js'
import { cameraSettings, notAnOption } from './settings.js'
import { SupervisedCamera } from './supervised-camera.js'

export const schema = z.strictObject({
  driver: z.literal('file'),
  ...cameraSettings,
  /** A video, a still, or a sequence (`frames/%03d.jpg`, played at `fps`). */
  path: notAnOption,
  /** Begins again at the end. Without it the frames end with the file; a still then is one frame. */
  loop: z.boolean().default(false),
})
export type Config = z.infer<typeof schema>

const STILL = /\.(jpe?g|png|bmp|webp|ppm|tiff?)$/i

function inputArguments({ path, loop, fps }: Config): string[] {
  // A still has no time of its own; at the rate of the output it is exactly one frame.
  if (path.includes('%') || STILL.test(path)) return ['-re', '-f', 'image2', '-framerate', String(fps), '-loop', loop ? '1' : '0', '-i', path]
  return ['-re', ...(loop ? ['-stream_loop', '-1'] : []), '-i', path]
}

/** A recording in place of a camera, in real time. Throws `no-file` when it is not there. */
export async function open(config: Config, host: Host): Promise<SupervisedCamera> {
  const checked = config.path.includes('%') ? dirname(config.path) : config.path
  await stat(checked).catch((cause: unknown) => {
    throw new ParleyError('no-file', `camera ${config.name}: ${checked} cannot be read`, { cause })
  })
  const { width, height, fps } = config
  const source = new FfmpegSource({ input: inputArguments(config), width, height, fps, finite: true }, host.clock)
  return new SupervisedCamera(config, source, host).start()
}
