import { SpareChild } from '../../models/engine/spare-child.js'
import { EXIT, StopSignal, parse, untilSignal, type Command } from './command.js'

const help = `
parley run [--config FILE] [--bundle DIR] [--events FILE] [--json]

Listens and talks until it is stopped. Without a configuration: the sound server's or the sound card's default devices,
the shipped model, calls written to the log. With [telemetry] the fleet's owner hears how it is, and can command it.

  --config FILE   default: parley.toml here, then /etc/parley/parley.toml
  --bundle DIR    the model; default: the one of the configuration, then that of the installed release
  --events FILE   one JSON object a line (docs/events.md). It holds what was said: keep it on the device
  --json          the events on the standard output

SIGTERM or Ctrl-C closes everything within 2 s. SIGUSR2 stops the actuators at once. Under systemd (Type=notify) it says
when sound is live, and feeds the watchdog while capture, model and playout get on.
Exit codes: 0 stopped, 1 the microphone ended, 3 wrong configuration, 4 no microphone, 6 a damaged bundle,
7 the model does not run, 75 a restart was asked for.`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, { config: { type: 'string' }, bundle: { type: 'string' }, events: { type: 'string' }, json: { type: 'boolean', default: false } })
  // Before there is a second process: a signal that ended this one at once would leave that behind, for as long as it loads.
  const closing = untilSignal()
  const stops = new StopSignal()
  // Before the rest is even read: the two processes load their code side by side.
  using spare = new SpareChild()
  const { voice } = await import('./voice.js')
  return closing.signal.aborted ? EXIT.ok : await voice(values, spare, closing, stops)
}

export const command: Command = { summary: 'listens and talks', help, run }
