import { detect } from '../../deploy/jetson/detect.js'
import { jetsonFinding } from '../../deploy/jetson/finding.js'
import type { LocalMachine } from '../../deploy/jetson/machine.js'
import { budget, readThermal } from '../../deploy/jetson/power.js'
import { enginesOf } from '../compose/engine-options.js'
import { NO_ENGINE } from '../compose/engine-words.js'
import type { Config } from '../config/schema.js'
import { figure, type Check } from './check.js'

/** Nothing on another machine. `bundle` and `engines`: folders. */
export async function jetsonChecks(config: Config, machine: LocalMachine, bundle: string, engines: string): Promise<Check[]> {
  const found = await detect(machine)
  if (!found) return []
  return [
    { what: 'Jetson', needed: false, always: true, look: async () => (await jetsonFinding(machine)) ?? { state: 'ok', seen: 'none' } },
    {
      what: 'power and heat', needed: false, always: true,
      look: async () => {
        const thermal = await readThermal(machine)
        const { temperature, throttleAt, throttled, powerMode } = thermal
        const seen = `power mode ${powerMode ?? 'unknown'}, ${temperature === undefined ? 'temperature unknown' : `${figure(temperature)} °C`}${throttleAt === undefined ? '' : `, it slows at ${figure(throttleAt)}`}`
        const { by, reason } = budget(thermal)
        if (by !== 'heat') return { state: 'ok', seen: reason === undefined ? seen : `${seen}; ${reason}` } // the mode was chosen
        return { state: 'warn', seen: throttled ? `${seen}: ${reason}` : `${seen}: hot`, mend: 'its fan, air and shade: tegrastats; the power mode: sudo nvpmodel -q, and -m to change it' }
      },
    },
    ...(found.tensorrt === undefined ? [] : [{
      what: 'engine', needed: false,
      look: async () => {
        const state = await enginesOf(config, engines, machine).state(bundle)
        if (state.is === 'ready') return { state: 'ok', seen: state.wrapper } as const
        if (state.is === 'unbuilt') return { state: 'warn', seen: `none for this bundle in ${engines}: TensorRT is not used, it runs slower`, mend: 'sudo parley engines build' } as const
        return { state: 'ok', seen: `${NO_ENGINE[state.is]}: none is needed` } as const // no fault of the device
      },
    }]),
  ]
}
