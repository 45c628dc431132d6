/** Every topic of a device, in one place. Source: docs/telemetry.md. */
export interface Topics {
  readonly root: string
  /** Out, retained: `online` or `offline` (the will). */
  readonly availability: string
  /** Out, retained: which process is connected, so that a second one with the same id knows of it. */
  readonly instance: string
  /** Out, retained, by the fallback that speaks in the voice's place: why. The voice takes it away when it is back. */
  readonly outOfService: string
  /** Out, retained: last values. */
  readonly state: string
  readonly turn: string
  readonly event: string
  /** Out: turns and events of the time without a broker, with the time at which they happened. */
  readonly backfill: string
  /** In: `command/<name>`. */
  readonly command: string
  /** Out: the only place where answers may be asked to go. */
  readonly reply: string
  /** In, retained. */
  readonly desired: string
  /** Out, retained. */
  readonly reported: string
  /** In. */
  readonly job: string
  /** Out, retained: the last jobs and how they stand. */
  readonly jobs: string
}

export const PREFIX = 'parley/v1'

export function topicsOf(site: string, device: string): Topics {
  const root = `${PREFIX}/${site}/${device}`
  const of = (leaf: string): string => `${root}/${leaf}`
  return {
    root,
    availability: of('availability'), instance: of('instance'), outOfService: of('out-of-service'), state: of('state'), turn: of('turn'), event: of('event'), backfill: of('backfill'),
    command: of('command'), reply: of('reply'), desired: of('desired'), reported: of('reported'), job: of('job'), jobs: of('jobs'),
  }
}

/** `parley/v1/<site>/<device>/<leaf…>` taken apart, or undefined. */
export function parseTopic(topic: string): { site: string; device: string; leaf: string } | undefined {
  const [parley, version, site, device, ...leaf] = topic.split('/')
  if (`${parley}/${version}` !== PREFIX || !site || !device || leaf.length === 0) return undefined
  return { site, device, leaf: leaf.join('/') }
}
