import type { Clock } from '../../base/clock.js'
import { ParleyError, describe, systemCode } from '../../base/errors.js'
import { uptime, type Uptime } from '../../base/uptime.js'
import { removeDurably, switchLink, writeAtomic } from './atomic.js'
import type { Disk } from './disk.js'
import { currentRelease, readJournal, readTrial, writeJournal, type Journal, type State } from './journal.js'
import { MANIFEST_FILE, linkTo, type Layout } from './layout.js'
import { parseManifest, releaseHash, type Manifest } from './manifest.js'
import { inWindow, judge, type Observation, type UpdateSettings } from './policy.js'
import type { Source } from './source.js'
import { stage } from './stage.js'
import { Store } from './store.js'

/** What the updater asks of the machine around it. */
export interface UpdateHost {
  /** The signed manifest of this device's channel. */
  manifest(signal: AbortSignal): Promise<Buffer>
  /** What is waited for where all signatures that were seen are too old to begin with a release now. */
  stale?(): Promise<string | undefined>
  /** Builds what the release needs on this device (an engine), before the switch. Its result must survive a power cut. */
  prepare(folder: string, signal: AbortSignal): Promise<void>
  /** After the commit: what was built for the releases before goes. Must not throw. */
  settled?(folder: string, signal: AbortSignal): Promise<void>
  /** Somebody talks with it, or it acts: the conversation lock. */
  busy(): Promise<boolean>
  /** Why it must not be switched to yet, if so. */
  readonly hold?: string
  /** Starts the service again, with what `current` points at. */
  restart(): Promise<void>
  observe(): Promise<Observation>
  /** For people and MQTT; must not throw. */
  report(event: UpdateEvent): void
}

export interface UpdateEvent {
  readonly state: State
  readonly release?: string
  readonly version?: string
  /** Bytes fetched and bytes in all, while downloading. */
  readonly done?: number
  readonly of?: number
  readonly reason?: string
}

export interface Parts {
  readonly disk: Disk
  readonly layout: Layout
  readonly source: Source
  readonly host: UpdateHost
  readonly clock: Clock
  /** The machine's own, unless a test says otherwise. */
  readonly uptime?: () => Uptime
  readonly settings: UpdateSettings
  readonly arch: Manifest['arch']
}

/** Files that are not what was signed are fetched anew after so long, ms: a cache on the way forgets them, and a link that is paid for lasts. */
const SPOILT_MS = 60 * 60_000

/** How much of a trial's time a power cut may take, ms. */
const KEEP_MS = 60_000

type TrialLine = Extract<Journal, { state: 'trial' }>

/** Why `advance` stopped: all is done, or it waits for something that time brings. */
export type Pause = { readonly state: State; readonly waiting?: string }

/**
 * INVARIANTS, whatever stops it and wherever (`power-cut.test.ts`):
 * 1. `current` points at a whole release, the old one or the new one.
 * 2. The old one stays whole until the new one is committed.
 * 3. The trial file is on the disk for good before the link is switched: no start of a new release is uncounted.
 * 4. What is done is written down before; doing it twice does no harm.
 * 5. One step commits: the removal of the trial file.
 * 6. What was found is made safe before anything is built on it.
 */
export class Updater {
  readonly #p: Parts
  readonly #store: Store

  constructor(parts: Parts) {
    this.#p = parts
    this.#store = new Store(parts.disk, parts.layout.store)
  }

  /** After any stop. Finds out what the journal, the link and the boot guard say together, and goes on from there. */
  async recover(): Promise<Journal> {
    const { disk, layout } = this.#p
    // A process that was killed between a rename and its sync left a name that we can see and a power cut can take. What we
    // build on must be safe first: else the journal says `verified` and the part is gone, or the old release returns untried.
    for (const folder of [layout.app, layout.releases, layout.state, layout.store]) if (await disk.stat(folder)) await disk.syncFolder(folder)
    const line = await readJournal(disk, layout)
    const current = await currentRelease(disk, layout)
    const trial = await readTrial(disk, layout)
    if (line.state === 'switched' && current !== line.wanted.hash) {
      // Cut before the link moved, or flipped back by the boot guard before we came to write `trial`.
      if (await disk.stat(layout.flipped)) return this.#giveUp(line, await this.#flipReason())
      return this.#write({ state: 'staged', failed: line.failed, wanted: line.wanted })
    }
    // Cut after the link moved: only if the new release speaks was it started too. If not, `switched` starts it.
    if (line.state === 'switched' && (await this.#p.host.observe()).release === line.wanted.hash) return this.#write({ ...line, state: 'trial', ...this.#beginTrial() })
    if (line.state === 'trial' && current !== line.wanted.hash) return this.#giveUp(line, await this.#flipReason())
    if (line.state === 'trial' && !(await disk.stat(layout.trial))) return this.#write({ state: 'committed', failed: line.failed, wanted: line.wanted, from: line.from })
    // The journal was lost while a release was on trial.
    if (line.state === 'idle' && trial && current === trial.release) return this.#adopt(trial.previous, current, line)
    return line
  }

  /** Does what can be done now. `check`: ask for a new release when nothing is under way. */
  async advance(signal: AbortSignal, check = true): Promise<Pause> {
    let line = await this.recover()
    if (check && before(line) && (await this.#superseded(line.wanted.hash, signal))) line = await this.#write({ state: 'idle', failed: line.failed })
    for (let asked = !check; ; ) {
      signal.throwIfAborted()
      this.#report(line)
      if (line.state === 'idle') await this.#tidy(line.previous)
      const next = line.state === 'idle' ? (asked ? undefined : await this.#check(line, signal)) : await this.#step(line, signal)
      asked ||= line.state === 'idle'
      if (next === undefined) return { state: line.state }
      if (typeof next === 'string') return { state: line.state, waiting: next }
      line = next
    }
  }

  /** The technician's wish. Only a release on trial can be undone; after that the vendor publishes a newer one. */
  async rollBack(reason: string): Promise<void> {
    const line = await this.recover()
    if (line.state !== 'trial' && line.state !== 'switched') throw new ParleyError('update-no-trial', `there is no release on trial (the updater is ${line.state})`)
    await this.#rollBack(await this.#write({ state: 'rolling-back', failed: line.failed, wanted: line.wanted, from: line.from, reason }))
  }

  /** The permission was taken back: what is not yet switched to is left; what is on trial is judged as ever. */
  async abandon(): Promise<void> {
    const line = await this.recover()
    if (before(line)) this.#report(await this.#write({ state: 'idle', failed: line.failed }), { reason: 'taken back' })
  }

  async #check(line: Extract<Journal, { state: 'idle' }>, signal: AbortSignal): Promise<Journal | undefined> {
    const { disk, layout, host, settings, arch } = this.#p
    const bytes = await host.manifest(signal)
    const hash = releaseHash(bytes)
    if (hash === (await currentRelease(disk, layout)) || line.failed.some(f => f.hash === hash)) return undefined
    const { spoilt } = line
    // A clock that was set back must not make this long; another source (a stick) need not wait.
    if (spoilt?.hash === hash && spoilt.source === this.#p.source.name && Math.abs(this.#p.clock.wall() - spoilt.at) < SPOILT_MS)
      throw new ParleyError('update-spoilt', `what ${spoilt.source} gave was not what was signed; it is asked again an hour later`, { hint: 'Another source, a USB stick say, is tried at once' })
    const wanted = parseManifest(bytes)
    if (wanted.arch !== arch) throw new ParleyError('update-arch', `release ${wanted.version} is for ${wanted.arch}, this device is ${arch}`)
    const own = await this.#sequence()
    if (wanted.sequence <= own) throw new ParleyError('update-downgrade', `release ${wanted.version} (${wanted.sequence}) is not newer than the one that runs (${own})`)
    const missing = (await Promise.all(wanted.parts.map(async p => p.bytes - (await this.#store.have(p))))).reduce((a, b) => a + b, 0)
    const needed = missing + wanted.parts.reduce((sum, p) => sum + p.unpackedBytes, 0) + settings.reserveMegabytes * 1e6
    const free = await disk.freeBytes(layout.releases)
    if (free < needed) throw new ParleyError('update-no-space', `release ${wanted.version} needs ${megabytes(needed)} MB, ${megabytes(free)} MB are free`, { hint: 'Make room on the disk: parley doctor shows what is large' })
    return this.#write({ state: 'downloading', failed: line.failed, wanted: { hash, manifest: bytes.toString('base64') } })
  }

  /** The vendor has put another in its place: that may be the cure. Without an answer it goes on: it was signed, and a device may be alone. */
  async #superseded(hash: string, signal: AbortSignal): Promise<boolean> {
    try {
      return releaseHash(await this.#p.host.manifest(signal)) !== hash
    } catch {
      return false
    }
  }

  async #step(line: Exclude<Journal, { state: 'idle' }>, signal: AbortSignal): Promise<Journal | string> {
    const { disk, layout, host, settings, clock } = this.#p
    const bytes = Buffer.from(line.wanted.manifest, 'base64')
    switch (line.state) {
      case 'downloading': {
        const { parts } = parseManifest(bytes)
        const of = parts.reduce((sum, p) => sum + p.bytes, 0)
        let done = 0
        for (const part of parts) {
          done += await this.#store.have(part)
          await this.#store.fetch(part, this.#p.source, signal, more => this.#report(line, { done: Math.min((done += more), of), of })).catch(async error => {
            if (systemCode(error) === 'update-tampered') await this.#write({ state: 'idle', failed: line.failed, spoilt: { hash: line.wanted.hash, source: this.#p.source.name, at: clock.wall() } })
            throw error
          })
        }
        return this.#write({ ...line, state: 'verified' })
      }
      case 'verified':
        try {
          await stage(disk, layout, this.#store, bytes)
          await host.prepare(layout.release(line.wanted.hash), signal)
        } catch (error) {
          if (error instanceof ParleyError && error.code === 'update-damaged') return this.#write({ ...line, state: 'downloading' })
          if (error instanceof ParleyError && ['update-tar', 'engine-build'].includes(error.code)) return this.#giveUp(line, describe(error))
          throw error
        }
        return this.#write({ ...line, state: 'staged' })
      case 'staged': {
        if (host.hold !== undefined) return host.hold
        // Days may have gone since it was fetched, and whoever keeps the vendor's news away may be why (a freeze).
        const stale = await host.stale?.()
        if (stale !== undefined) return stale
        if (await host.busy()) return 'the end of a talk'
        if ((await host.observe()).silentMs < settings.quietMinutes * 60_000) return `${settings.quietMinutes} quiet minutes`
        if (!inWindow(settings.window, new Date(clock.wall()))) return `the maintenance window from ${settings.window?.from}`
        return this.#switch(line)
      }
      case 'switched':
        // Taken up again after a stop, it may meet the old release in the middle of a talk.
        if (await host.busy()) return 'the end of a talk'
        await host.restart()
        return this.#write({ ...line, state: 'trial', ...this.#beginTrial() })
      case 'trial': {
        if ((await currentRelease(disk, layout)) !== line.wanted.hash) return this.#giveUp(line, await this.#flipReason())
        const { trialMs, kept } = this.#lasted(line)
        if (kept) await this.#write(kept)
        const seen = await host.observe()
        // It came up and answered: what ends it after this, a plug that is pulled say, is no failed start of its own.
        if (seen.release === line.wanted.hash && seen.selfTest === 'passed') await this.#forgetBoots()
        const verdict = judge(seen, line.wanted.hash, trialMs, settings)
        if (verdict.do === 'wait') return verdict.for
        if (verdict.do === 'roll-back') return this.#write({ ...line, state: 'rolling-back', reason: verdict.reason })
        await removeDurably(disk, layout.trial)
        return this.#write({ state: 'committed', failed: line.failed, wanted: line.wanted, from: line.from })
      }
      case 'committed':
        await host.settled?.(layout.release(line.wanted.hash), signal)
        return this.#write({ state: 'idle', failed: [], previous: line.from })
      case 'rolling-back':
        return this.#rollBack(line)
    }
  }

  #beginTrial(): { since: number; spentMs: number; boot: string; upMs: number } {
    const { boot, ms } = this.#uptime()
    return { since: this.#p.clock.wall(), spentMs: 0, boot, upMs: ms }
  }

  /**
   * How long the trial has lasted, over restarts of the machine and whatever was done to its clock. `kept`: to be written, when the
   * machine was started anew or a minute has gone since the last time: what is not written a power cut takes.
   */
  #lasted(line: TrialLine): { trialMs: number; kept?: TrialLine } {
    const { boot, ms } = this.#uptime()
    // An older updater counted by the clock: its trial begins again.
    const here = line.boot === boot && line.upMs !== undefined && ms >= line.upMs
    const trialMs = (line.spentMs ?? 0) + (here ? ms - (line.upMs ?? ms) : 0)
    return here && trialMs - (line.spentMs ?? 0) < KEEP_MS ? { trialMs } : { trialMs, kept: { ...line, spentMs: trialMs, boot, upMs: ms } }
  }

  #uptime(): Uptime {
    return (this.#p.uptime ?? uptime)()
  }

  async #switch(line: Extract<Journal, { state: 'staged' }>): Promise<Journal> {
    const { disk, layout } = this.#p
    const from = await currentRelease(disk, layout)
    if (from === undefined) throw new ParleyError('update-no-current', `${layout.current} does not point at a release`, { hint: 'Install again with deploy/install.sh; what you set up stays' })
    await this.#forgetBoots()
    await removeDurably(disk, layout.flipped)
    await writeAtomic(disk, layout.trial, `release=${line.wanted.hash} previous=${from}\n`)
    const next = await this.#write({ ...line, state: 'switched', from })
    await switchLink(disk, layout.current, linkTo(line.wanted.hash))
    return next
  }

  async #rollBack(line: Extract<Journal, { state: 'rolling-back' }>): Promise<Journal> {
    const { disk, layout, host } = this.#p
    await switchLink(disk, layout.current, linkTo(line.from))
    await host.restart()
    return this.#giveUp(line, line.reason)
  }

  /** This release is not tried again; a newer one is. */
  async #giveUp(line: Exclude<Journal, { state: 'idle' }>, reason: string): Promise<Journal> {
    const { disk, layout } = this.#p
    this.#report({ ...line, state: 'rolling-back' } as Journal, { reason })
    await removeDurably(disk, layout.trial)
    const failed = [...line.failed.filter(f => f.hash !== line.wanted.hash), { hash: line.wanted.hash, reason }].slice(-8)
    return this.#write({ state: 'idle', failed })
  }

  /** Releases and parts that nobody needs any more: what is given up, and what a cut left behind. */
  async #tidy(previous: string | undefined): Promise<void> {
    const { disk, layout } = this.#p
    const current = await currentRelease(disk, layout)
    if (current === undefined) return
    const keep = new Set([current, ...(previous === undefined ? [] : [previous])])
    const parts = new Set<string>()
    for (const hash of keep) {
      const bytes = await disk.read(`${layout.release(hash)}/${MANIFEST_FILE}`)
      for (const part of bytes ? parseManifest(bytes).parts : []) parts.add(part.sha256)
    }
    for (const note of [layout.trial, layout.boots, layout.flipped]) await removeDurably(disk, note)
    const doomed = `${layout.releases}/.doomed`
    await disk.remove(doomed)
    for (const name of await disk.list(layout.releases)) {
      if (keep.has(name)) continue
      // First it loses the name that says it is whole.
      await disk.rename(`${layout.releases}/${name}`, doomed)
      await disk.syncFolder(layout.releases)
      await disk.remove(doomed)
    }
    await this.#store.keep(parts)
  }

  async #forgetBoots(): Promise<void> {
    for (const count of [this.#p.layout.boots, this.#p.layout.bootsInMemory]) await removeDurably(this.#p.disk, count)
  }

  async #adopt(previous: string, release: string, line: Journal): Promise<Journal> {
    const bytes = await this.#p.disk.read(`${this.#p.layout.release(release)}/${MANIFEST_FILE}`)
    if (!bytes) return line
    return this.#write({ state: 'trial', failed: line.failed, wanted: { hash: release, manifest: bytes.toString('base64') }, from: previous, ...this.#beginTrial() })
  }

  async #sequence(): Promise<number> {
    const { disk, layout } = this.#p
    const bytes = await disk.read(`${layout.current}/${MANIFEST_FILE}`)
    return bytes ? parseManifest(bytes).sequence : 0
  }

  async #flipReason(): Promise<string> {
    const note = (await this.#p.disk.read(this.#p.layout.flipped))?.toString('utf8')
    return /reason=(.*)/.exec(note ?? '')?.[1] ?? 'it was switched back from outside'
  }

  async #write<L extends Journal>(line: L): Promise<L> {
    await writeJournal(this.#p.disk, this.#p.layout, line)
    return line
  }

  #report(line: Journal, more: Partial<UpdateEvent> = {}): void {
    const release = line.state === 'idle' ? {} : { release: line.wanted.hash, version: parseManifest(Buffer.from(line.wanted.manifest, 'base64')).version }
    this.#p.host.report({ state: line.state, ...release, ...more })
  }
}

/** Nothing runs of it yet: it can be left as if it had never been begun. */
const before = (line: Journal): line is Extract<Journal, { state: 'downloading' | 'verified' | 'staged' }> => ['downloading', 'verified', 'staged'].includes(line.state)

const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6)
