import { processIo } from '../../deploy/io.js'
import { updateHelp, updateMain } from '../../deploy/update/main.js'
import type { Command } from './command.js'

export const command: Command = { summary: 'fetches, switches to and rolls back releases of this device', help: updateHelp, run: args => updateMain(args, processIo) }
