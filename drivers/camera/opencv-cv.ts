/** The part of the binding that is used here (@u4/opencv4nodejs 7.1.2, loaded without its JavaScript wrapper). */
export interface Mat {
  readonly rows: number
  readonly cols: number
  readonly channels: number
  readonly empty: boolean
  resize(rows: number, cols: number, fx: number, fy: number, interpolation: number): Mat
  cvtColor(code: number): Mat
  copy(): Mat
  getData(): Buffer
  release(): void
}

type Callback<T> = (error: Error | null, value: T) => void

export interface VideoCapture {
  readAsync(callback: Callback<Mat>): void
  get(property: number): number
  set(property: number, value: number): void
  release(): void
}

export interface CascadeClassifier {
  detectMultiScale(image: Mat, options: { scaleFactor: number; minNeighbors: number; minSize: object }): { objects: object[] }
}

export interface Cv {
  readonly VideoCapture: new (source: number | string, api: number) => VideoCapture
  readonly CascadeClassifier: new (path: string) => CascadeClassifier
  readonly Size: new (width: number, height: number) => object
  imread(path: string): Mat
  setNumThreads(threads: number): void
  readonly INTER_AREA: number
  readonly COLOR_BGR2RGB: number
  readonly COLOR_BGR2GRAY: number
  readonly CAP_PROP_FPS: number
  readonly CAP_PROP_BUFFERSIZE: number
}
