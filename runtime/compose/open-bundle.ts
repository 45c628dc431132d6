import { isThere } from '../../base/files.js'
import type { Logger } from '../../base/log.js'
import type { BundleChoice } from './bundle-choice.js'

export interface BundleToOpen<M> {
  /** The release's own bundle: what a device comes back to when the owner's is taken away. */
  readonly shipped: string
  /** The device's own: that of the configuration, or the release's. */
  readonly own: string
  /** What the owner chose from afar, where that counts. */
  readonly bundles?: BundleChoice | undefined
  /** Whether the release that runs may still be undone. */
  onTrial(): Promise<boolean>
  /** Rejects where the bundle cannot be opened, or does not answer its golden utterance. */
  open(folder: string): Promise<M>
  readonly log: Logger
  /** Breaks it off. */
  readonly signal?: AbortSignal
}

/**
 * Opens the bundle to talk with. A release on trial opens its own first, although the owner's is the one that will talk: the commit
 * vouches for all of the release. Not within `BundleChoice`: a broken release must not cost the owner his choice.
 */
export async function openBundle<M extends AsyncDisposable>({ shipped, own, bundles, onTrial, open, log, signal }: BundleToOpen<M>): Promise<M> {
  // A release without a bundle has none to prove where the configuration names one.
  const another = own === shipped ? (await bundles?.chosen()) !== undefined : await isThere(shipped)
  if (another && (await onTrial())) {
    log.info({}, 'the release is on trial: its own bundle is tried before the owner\'s')
    // Closed before the next is opened: a small device has no memory for two.
    await (await open(shipped))[Symbol.asyncDispose]()
  }
  return bundles ? bundles.open(own, open, log, signal) : open(own)
}
