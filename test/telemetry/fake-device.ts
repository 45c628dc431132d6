import { z } from 'zod'
import type { DeviceApi } from '../../runtime/commands/device-api.js'
import { FleetDevice, type FleetDeviceOptions } from '../../runtime/fleet/device.js'
import { Telling } from '../../runtime/telemetry/source.js'
import { systemClock } from '../../base/clock.js'
import type { Broker } from '../rig/broker.js'
import { settingsFor, silent, soon } from './kit.js'

export const testSchema = z.strictObject({
  facts: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  playout: z.strictObject({ volume: z.number().min(0).max(1).default(0.8) }).prefault({}),
  log: z.strictObject({ level: z.enum(['info', 'debug']).default('info') }).prefault({}),
  secretDoor: z.string().default('shut'),
})
export type TestConfig = z.infer<typeof testSchema>

/** Writes down what it is told to do. */
export class FakeApi implements DeviceApi {
  readonly did: string[] = []
  async say(text: string): Promise<void> { this.did.push(`say ${text}`) }
  async ask(text: string): Promise<void> { this.did.push(`ask ${text}`) }
  stop(): void { this.did.push('stop') }
  async setVolume(volume: number): Promise<void> { this.did.push(`volume ${volume}`) }
  async setMute(muted: boolean): Promise<void> { this.did.push(`mute ${muted}`) }
  async snapshot(): Promise<object> { return { microphone: { ok: true } } }
  async restart(reason: string): Promise<void> { this.did.push(`restart ${reason}`) }
  async logs(lines: number): Promise<string[]> { return Array.from({ length: lines }, (_, i) => `{"n":${i},"text":"what was said","password":"hunter2"}`) }
  async useBundle(name: string): Promise<void> { this.did.push(`bundle ${name}`) }
  async config(): Promise<object> { return { volume: 0.8 } }
}

export interface Fake {
  readonly device: FleetDevice<TestConfig>
  readonly api: FakeApi
  readonly tell: Telling['tell']
  readonly applied: TestConfig[]
  config: TestConfig
}

/** Closed at the test's end, also when it fails: a device that stays open would keep the process. */
export async function startDevice(t: { teardown(close: () => Promise<void>): unknown }, broker: Pick<Broker, 'url'>, folder: string, more: Record<string, unknown> = {}, options: Partial<FleetDeviceOptions<TestConfig>> = {}): Promise<Fake> {
  const api = new FakeApi()
  const source = new Telling()
  const applied: TestConfig[] = []
  const device = new FleetDevice<TestConfig>({
    settings: settingsFor(broker.url, folder, more), source, clock: systemClock, log: silent, version: '1.2.3', random: soon, api, busy: () => false,
    schema: testSchema, base: { facts: { name: 'kiosk' } }, apply: async config => { applied.push(config) }, allowed: ['facts', 'playout', 'log'], restart: ['log'], ...options,
  })
  t.teardown(() => device.close())
  const config = await device.load()
  await device.start()
  return { device, api, tell: source.tell, applied, config }
}
