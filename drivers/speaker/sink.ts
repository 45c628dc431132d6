/**
 * Where paced sound goes: a device, a program, a file. It is given 20 ms at a time, never more than 80 ms before it is due.
 */
export interface Sink {
  /** Takes one chunk of mono samples, due at `startsAt` (monotonic ms). Returns or resolves when the device has it; throws or rejects when it was lost. */
  send(chunk: Float32Array, startsAt: number): Promise<void> | void
  /** At once and synchronously: nothing that was sent and not yet heard is ever heard. Sends that are still open may settle either way. */
  silence(now: number): void
  /** The device took nothing for too long: throw it away and get another. */
  restart(): void
  /** Set by the speaker; called when the device ended by itself: what it had taken and not yet played is lost. */
  onGone?: (() => void) | undefined
  /** What went wrong, in numbers. */
  counters(): Readonly<Record<string, number>>
  close(now: number): Promise<void>
}
