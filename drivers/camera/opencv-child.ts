import { createRequire } from 'node:module'
import { describe } from '../../base/errors.js'
import type { CascadeClassifier, Cv, Mat } from './opencv-cv.js'
import { openPictures } from './opencv-picture.js'
import { CREDITS, monotonicMs, type FromChild, type Order, type ToChild } from './opencv-wire.js'

// The camera's own process: the binding can hang for 30 s in a read and can crash; here it takes nobody with it.

/** Faces are looked for in a picture of this width: the cascade's time goes with the area. */
const FACE_WIDTH = 320
/** While no frame is due, the parent hears at this interval that pictures come. */
const ALIVE_MS = 250

let credits = CREDITS

// A read that hangs in the pool would also hang process.exit(), so the end is always a kill.
const die = (): void => void process.kill(process.pid, 'SIGKILL')
const tell = (message: FromChild, then?: () => void): void => void process.send?.(message, then ?? (() => {}))

process.on('disconnect', die)
if (!process.connected) die() // the parent went while we were loading
process.on('message', (message: ToChild) => {
  if (message.type === 'credit') credits++
  else run(message).then(() => tell({ type: 'ended' }, die), (error: unknown) => tell({ type: 'failed', message: describe(error) }, die))
})

async function run(order: Order): Promise<void> {
  const cv = createRequire(import.meta.url)(order.binding) as Cv // its shape is checked by the set-up's proof
  cv.setNumThreads(1) // small pictures: a second thread costs more than it gives
  const pictures = openPictures(cv, order.source, order.loop, order.fps)
  const seeker = order.faces && new FaceSeeker(cv, order.faces)
  const periodMs = 1_000 / order.fps
  let frameDue = 0
  let toldAt = 0
  for (let mat = await pictures.next(); mat; mat = await pictures.next()) {
    const hr = monotonicMs()
    try {
      // A tenth of a period early is in time: a 30 Hz camera must not become 15 Hz by jitter.
      if (hr >= frameDue - periodMs / 10) {
        frameDue = Math.max(frameDue + periodMs, hr)
        toldAt = hr
        sendFrame(cv, mat, order, hr)
      } else if (hr - toldAt > ALIVE_MS) {
        toldAt = hr
        tell({ type: 'alive' })
      }
      seeker?.look(mat, hr)
    } finally {
      mat.release()
    }
  }
}

function sendFrame(cv: Cv, mat: Mat, order: Order, hr: number): void {
  if (credits === 0) return tell({ type: 'dropped' })
  credits--
  const small = mat.resize(order.height, order.width, 0, 0, cv.INTER_AREA)
  const rgb = small.cvtColor(cv.COLOR_BGR2RGB)
  try {
    tell({ type: 'frame', hr, rgb: rgb.getData(), costMs: monotonicMs() - hr })
  } finally {
    small.release()
    rgb.release()
  }
}

class FaceSeeker {
  readonly #cv: Cv
  readonly #classifier: CascadeClassifier
  readonly #faces: NonNullable<Order['faces']>
  #dueAt = 0

  constructor(cv: Cv, faces: NonNullable<Order['faces']>) {
    this.#cv = cv
    this.#faces = faces
    this.#classifier = new cv.CascadeClassifier(faces.cascade)
  }

  look(mat: Mat, hr: number): void {
    if (hr < this.#dueAt) return
    this.#dueAt = hr + this.#faces.everyMs
    const rows = Math.max(24, Math.round((FACE_WIDTH * mat.rows) / mat.cols))
    const small = mat.resize(rows, FACE_WIDTH, 0, 0, this.#cv.INTER_AREA)
    const grey = small.cvtColor(this.#cv.COLOR_BGR2GRAY)
    try {
      const side = Math.max(20, Math.round(rows * this.#faces.minFace))
      const began = monotonicMs()
      const { objects } = this.#classifier.detectMultiScale(grey, { scaleFactor: 1.2, minNeighbors: 4, minSize: new this.#cv.Size(side, side) })
      tell({ type: 'faces', hr, count: objects.length, costMs: monotonicMs() - began })
    } finally {
      small.release()
      grey.release()
    }
  }
}
