import { checkFiles } from '../config/files.js'
import { checkDrivers, complaint, loadConfig } from '../config/load.js'
import { configJsonSchema } from '../config/schema.js'
import { hideSecrets } from '../config/secrets.js'
import { EXIT, parse, say, type Command } from './command.js'

const help = `
parley check-config [--config FILE] [--json] [--schema]

Reads the configuration as \`parley run\` would, the drivers' sections too, and the file that [update] ca names. Opens no device.
Without --config: parley.toml here, then /etc/parley/parley.toml, then the defaults, which are complete.

  --json     the configuration with all its defaults (secrets hidden), or what is wrong
  --schema   the JSON Schema of the file, for editors

Exit codes: 0 good, 3 wrong (key, value and what was expected).`

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args, { config: { type: 'string' }, json: { type: 'boolean', default: false }, schema: { type: 'boolean', default: false } })
  if (values.schema) {
    say(JSON.stringify(configJsonSchema(), null, 2))
    return EXIT.ok
  }
  const { config, path } = await loadConfig(values.config)
  const wrong = [...(await checkDrivers(config)), ...(await checkFiles(config))]
  if (wrong.length && !values.json) throw complaint(wrong, path ?? 'the defaults')
  if (values.json) say(JSON.stringify(wrong.length ? { ok: false, path, wrong } : { ok: true, path: path ?? null, config: hideSecrets(config) }, null, 2))
  else say(`${path ?? 'no file: the defaults'}: good`)
  return wrong.length ? EXIT.badInput : EXIT.ok
}

export const command: Command = { summary: 'reads the configuration and says what is wrong with it', help, run }
