import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Tells the service manager how we are (sd_notify(3)). Never throws and never waits: a voice must not depend on it. */
export interface Notifier {
  /** `addon`, `program` (a process for each message) or `none` (nobody listens). */
  readonly way: 'addon' | 'program' | 'none'
  send(...lines: readonly string[]): void
}

interface Addon {
  send(socket: string, message: string): void
}

const ADDON = fileURLToPath(new URL('./notify.node', import.meta.url))

export function openNotifier(env: NodeJS.ProcessEnv = process.env, onError: (error: unknown) => void = () => {}): Notifier {
  const socket = env['NOTIFY_SOCKET']
  if (!socket) return { way: 'none', send: () => {} }
  const addon = loadAddon()
  if (addon) {
    const send = (...lines: readonly string[]): void => {
      try {
        addon.send(socket, lines.join('\n'))
      } catch (error) {
        onError(error) // a full queue (EAGAIN); the next ping comes soon
      }
    }
    return { way: 'addon', send }
  }
  // ~12 ms of CPU a message, and the unit needs NotifyAccess=all: for machines without a compiler.
  const send = (...lines: readonly string[]): void => {
    spawn('systemd-notify', [`--pid=${process.pid}`, ...lines], { stdio: 'ignore', env: { ...env } }).on('error', onError).unref()
  }
  return { way: 'program', send }
}

function loadAddon(): Addon | undefined {
  try {
    return createRequire(import.meta.url)(ADDON) as Addon
  } catch {
    return undefined // not built here
  }
}

/** A status line for `systemctl status`; one line, whatever it was given. */
export const statusLine = (text: string): string => `STATUS=${text.replace(/\s+/g, ' ').slice(0, 200)}`
