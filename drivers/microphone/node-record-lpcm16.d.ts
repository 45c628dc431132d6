declare module 'node-record-lpcm16' {
  import type { ChildProcess } from 'node:child_process'
  import type { Readable } from 'node:stream'

  interface Recording {
    readonly process: ChildProcess
    stream(): Readable
    stop(): void
  }

  interface Options {
    /** A path that is loaded as code: only ever one of ours. */
    readonly recorder: string
    readonly sampleRate: number
    readonly channels: number
    readonly audioType: 'raw'
    readonly device?: string
  }

  const recorder: { record(options: Options): Recording }
  export default recorder
}
