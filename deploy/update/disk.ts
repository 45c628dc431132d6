/** What the updater needs of a file system, and nothing more: so that a test can stand in for the disk and cut its power. */
export interface Disk {
  /** Undefined: it is not there. */
  read(path: string): Promise<Buffer | undefined>
  chunks(path: string): AsyncIterable<Buffer>
  /** The names in a folder, sorted; empty when it is not there. */
  list(path: string): Promise<string[]>
  /** Of the entry itself: a link is not followed. */
  stat(path: string): Promise<Entry | undefined>
  /** With its parents; no error when it is there. */
  makeFolder(path: string): Promise<void>
  /** An empty file in place of whatever was there. */
  create(path: string, mode?: number): Promise<void>
  append(path: string, bytes: Uint8Array): Promise<void>
  symlink(target: string, path: string): Promise<void>
  readLink(path: string): Promise<string | undefined>
  rename(from: string, to: string): Promise<void>
  /** With all that is in it; no error when it is not there. */
  remove(path: string): Promise<void>
  /** Until this resolves a power cut may take what was written. */
  syncFile(path: string): Promise<void>
  /** The same for names: what was made, renamed or removed in this folder. */
  syncFolder(path: string): Promise<void>
  /** Bytes that may still be written below this folder. */
  freeBytes(path: string): Promise<number>
}

export interface Entry {
  readonly kind: 'file' | 'folder' | 'link'
  readonly bytes: number
}
