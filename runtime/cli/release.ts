import { processIo } from '../../deploy/io.js'
import { releaseHelp, releaseMain } from '../../deploy/release/main.js'
import type { Command } from './command.js'

export const command: Command = { summary: "the vendor's side of updates: build, sign, publish", help: releaseHelp, run: args => releaseMain(args, processIo) }
