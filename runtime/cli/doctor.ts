import { systemClock } from '../../base/clock.js'
import { deviceRoot } from '../../base/device-root.js'
import { ParleyError } from '../../base/errors.js'
import type { Finding } from '../../base/finding.js'
import { createLog } from '../../base/log.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import { currentRelease } from '../../deploy/update/journal.js'
import { Layout } from '../../deploy/update/layout.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { enginesFolder } from '../compose/engine-options.js'
import { loadConfig } from '../config/load.js'
import { configSchema, type Config } from '../config/schema.js'
import { brokerChecks } from '../doctor/broker-checks.js'
import { runCheck, type Check } from '../doctor/check.js'
import { deviceChecks } from '../doctor/device-checks.js'
import { jetsonChecks } from '../doctor/jetson-checks.js'
import { configurationRefused, machineChecks } from '../doctor/machine-checks.js'
import { modelChecks, placements, strayFindings } from '../doctor/model-checks.js'
import { soundChecks } from '../doctor/sound-checks.js'
import { EXIT, exitCodeOf, parse, say, table, untilSignal, type Command } from './command.js'
import { bundlePath } from './paths.js'

const help = `
parley doctor [--config FILE] [--bundle DIR] [--echo] [--placement] [--json]

Looks at everything that a conversation stands on, and names the command that mends what is wrong. Opens the microphone
and the speaker for a second; what it records goes nowhere.

  --echo        plays a sound and measures the echo cancellation
  --placement   also proves on which provider the nodes of each graph run; one of a GPU's that ran elsewhere is a failure
  --json        the findings as JSON

Exit codes: 0 nothing failed, 1 something did, 3 the configuration cannot be read (what needs none is looked at all the same).`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, { config: { type: 'string' }, bundle: { type: 'string' }, echo: { type: 'boolean', default: false }, placement: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } })
  const { config, path, error } = await configOrWhyNot(values.config)
  const closing = untilSignal()
  const host = { clock: systemClock, log: createLog('silent'), signal: closing.signal }
  const folder = bundlePath(values.bundle, config.bundle.path, path)
  const root = deviceRoot()
  const machine = new LocalMachine(root)
  const installed = (await currentRelease(realDisk, new Layout(root))) !== undefined
  const device = { root, machine, wall: () => Date.now(), freeBytes: realDisk.freeBytes }
  const checks: Check[] = [...machineChecks(config, path), ...(await deviceChecks(config, device)), ...(await jetsonChecks(config, machine, folder, enginesFolder(root))), ...brokerChecks(config), ...soundChecks(config, host, values.echo, installed), ...modelChecks(config, folder, installed)]
  const findings: Finding[] = error ? [await configurationRefused(error, values.config)] : []
  // One after the other: they measure times, and share devices.
  for (const check of checks.filter(c => !error || c.always)) if (!closing.signal.aborted) findings.push(await runCheck(check))
  const placed = values.placement && !error ? await placements(config, folder) : undefined
  findings.push(...strayFindings(placed ?? []))
  const good = findings.every(f => f.state !== 'fail')
  if (values.json) {
    say(JSON.stringify({ ok: good, findings, ...(placed ? { placement: placed } : {}) }, null, 2))
  } else {
    for (const { state, what, seen, mend } of findings) say(`${state.padEnd(4)}  ${what.padEnd(18)}${seen}${mend ? `\n${' '.repeat(24)}→ ${mend}` : ''}`)
    if (placed) say(`\n${table(['graph', 'asked for', 'ran on (nodes)', 'elsewhere'], placed.map(p => [p.graph, p.provider, p.nodes, p.strays.length]))}`)
  }
  if (error) return exitCodeOf(error)
  return good ? EXIT.ok : EXIT.failed
}

/** A report that ends with the first wrong key tells a technician nothing of the rest: then the defaults stand in, for the checks that ask nothing of them. */
async function configOrWhyNot(named: string | undefined): Promise<{ config: Config; path: string | undefined; error?: ParleyError }> {
  try {
    return await loadConfig(named)
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error
    return { config: configSchema.parse({}), path: undefined, error }
  }
}

export const command: Command = { summary: 'looks at everything, and says how to mend what is wrong', help, run }
