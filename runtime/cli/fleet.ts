import { fleetMain } from '../fleet/main.js'
import { USAGE } from '../fleet/options.js'
import type { Command } from './command.js'

export const command: Command = {
  summary: 'the owner of a fleet: list, watch, say, state, job',
  help: USAGE,
  async run(args) {
    const stop = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)))
    return fleetMain(args, {
      out: line => void process.stdout.write(`${line}\n`),
      err: line => void process.stderr.write(`${line}\n`),
      env: process.env,
      signal: stop.signal,
    })
  },
}
