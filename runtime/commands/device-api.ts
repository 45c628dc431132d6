/** What a command can do to a device. The runtime implements it; commands know nothing else of the runtime. */
export interface DeviceApi {
  /** Says these words as they are. Resolves when they are accepted, not when they were heard. */
  say(text: string, signal: AbortSignal): Promise<void>
  /** A turn that is typed instead of spoken. The answer is heard, not sent. */
  ask(text: string, signal: AbortSignal): Promise<void>
  /** Silence and standstill, at once. */
  stop(): void
  /** 0 to 1. */
  setVolume(volume: number): Promise<void>
  setMute(muted: boolean): Promise<void>
  /** How each part is; no pictures, no words. */
  snapshot(): Promise<object>
  /** Ends the process in an orderly way; something outside starts it again. Resolves before that. */
  restart(reason: string): Promise<void>
  /** The last lines of the log, newest last, already without secrets. */
  logs(lines: number): Promise<readonly string[]>
  /** Changes over to a bundle that is installed. Throws if there is none of that name. */
  useBundle(name: string, signal: AbortSignal): Promise<void>
  /** What is in force, without secrets. */
  config(): Promise<object>
}
