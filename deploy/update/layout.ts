import { join } from 'node:path'

/** Where everything is. `root` is `/`, or a folder in a test and in `install.sh --root`. */
export class Layout {
  // Not below /var/lib/parley: that is the voice's own, and who owns a folder can put another in the place of what is in it.
  readonly app: string
  readonly state: string

  readonly run: string

  constructor(root = '/') {
    this.app = join(root, 'opt/parley')
    this.state = join(root, 'var/lib/parley-update')
    this.run = join(root, 'run/parley-update')
  }

  get releases(): string {
    return join(this.app, 'releases')
  }
  release(hash: string): string {
    return join(this.releases, hash)
  }
  /** The link to the release that runs. Its target is relative, so that the tree can be looked at from outside. */
  get current(): string {
    return join(this.app, 'current')
  }
  /** Root's, like the releases: the updater builds them in its sandbox, the voice only reads them. */
  get engines(): string {
    return join(this.app, 'engines')
  }
  get store(): string {
    return join(this.state, 'store')
  }
  get journal(): string {
    return join(this.state, 'journal.json')
  }
  /** Two words, `release=… previous=…`: there while a release is on trial. The boot guard, a shell script, reads it. */
  get trial(): string {
    return join(this.state, 'trial')
  }
  /** `release=… count=…`: starts of the release on trial. Written by the boot guard before each start. */
  get boots(): string {
    return join(this.state, 'boots')
  }
  /** The same, where the guard counts when the disk takes nothing. */
  get bootsInMemory(): string {
    return join(this.run, 'boots')
  }
  /** `release=… reason=…`: the boot guard's note that it went back. */
  get flipped(): string {
    return join(this.state, 'flipped')
  }
  get trusted(): string {
    return join(this.state, 'trusted.json')
  }
  get timeFloor(): string {
    return join(this.state, 'time-floor')
  }
}

/** What a link in `releases/` to this release says. */
export const linkTo = (hash: string): string => `releases/${hash}`
export const hashOfLink = (target: string | undefined): string | undefined => /^releases\/([0-9a-f]{64})$/.exec(target ?? '')?.[1]
/** Inside each release: the manifest from which it was made. Its bytes have the release's hash. */
export const MANIFEST_FILE = '.release.json'
