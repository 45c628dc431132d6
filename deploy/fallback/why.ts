/** What note-stop.sh wrote about the last stop that was a failure. */
export interface LastFailure {
  readonly why: string
  /** Unix ms; undefined: it does not say. */
  readonly at: number | undefined
}

/** systemd's $SERVICE_RESULT and exit status → the word of docs/operations.md. The same stands in fallback.sh, which must not need node; a test compares the two. */
export function lastFailure(note: string): LastFailure | undefined {
  const field = (name: string): string => new RegExp(`\\b${name}=(\\S*)`).exec(note)?.[1] ?? ''
  const result = field('result')
  if (result === '') return undefined
  const at = Date.parse(field('at'))
  // A node without its program ends with 1 as a voice whose microphone ended does: the note says that the program was not there.
  const exited = field('entry') === 'missing' ? 'broken-installation' : (EXITED[field('status')] ?? 'failed')
  return { why: result === 'exit-code' ? exited : (RESULTS[result] ?? 'unknown'), at: Number.isNaN(at) ? undefined : at }
}

const RESULTS: Readonly<Record<string, string>> = { watchdog: 'stalled', 'oom-kill': 'out-of-memory', timeout: 'start-too-slow', 'core-dump': 'crashed', signal: 'crashed' }
/** Exit codes of `parley --help`, and systemd's own for a program that is not there or not to be run. */
const EXITED: Readonly<Record<string, string>> = { 3: 'wrong-configuration', 4: 'missing-device', 6: 'damaged-bundle', 7: 'model-fails', 200: 'broken-installation', 203: 'broken-installation' }

/** What a technician does first; docs/operations.md says more. */
export const MENDS: Readonly<Record<string, string>> = {
  stalled: 'journalctl -u parley -n 200; another USB port',
  'out-of-memory': 'free -m; a smaller bundle',
  'start-too-slow': 'dmesg: a slow or worn card?',
  crashed: 'journalctl -u parley -b > crash.txt, for the vendor',
  'wrong-configuration': 'sudo parley check-config',
  'missing-device': 'parley devices',
  'damaged-bundle': 'sudo parley doctor names the file; in the tree that it was installed from: sudo touch /opt/parley/.reinstall && sudo deploy/install.sh',
  'model-fails': 'sudo parley doctor: its lines model and golden utterance',
  'broken-installation': 'in the tree that it was installed from: sudo touch /opt/parley/.reinstall && sudo deploy/install.sh',
}
