import { join } from 'node:path'
import { systemClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { createLog } from '../../base/log.js'
import { processIo } from '../../deploy/io.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import type { Answers } from '../../deploy/provision/answers.js'
import { CLAIM } from '../../deploy/provision/claim.js'
import { provisionHelp, provisionMain } from '../../deploy/provision/main.js'
import { enginesFolder, enginesOf } from '../compose/engine-options.js'
import { provisionEngine } from '../compose/provision-engine.js'
import { ProvisionSound } from '../compose/provision-sound.js'
import { loadConfig } from '../config/load.js'
import { provision } from '../fleet/provision.js'
import { untilSignal, type Command } from './command.js'
import { bundlePath } from './paths.js'
import { Questions } from './questions.js'
import { StoppedVoice } from './stopped-voice.js'

const help = `${provisionHelp.trim()}
claimFile has the claim's certificate and key in one (cat claim.pem claim.key); or they lie as /etc/parley/keys/${CLAIM.cert} and ${CLAIM.key}
and the answer claim is its id. They are deleted there when the device has its own.`

async function run(args: readonly string[]): Promise<number> {
  const closing = untilSignal()
  // provisionMain reads all options; here it only matters where the configuration will be.
  const at = args.findIndex(word => word === '--root')
  const root = at >= 0 ? args[at + 1] ?? '/' : args.find(word => word.startsWith('--root='))?.slice('--root='.length) ?? '/'
  const setup = async () => {
    const { config, path } = await loadConfig(join(root, 'etc/parley/parley.toml'))
    return { config, bundle: bundlePath(undefined, config.bundle.path, path) }
  }
  const host = { clock: systemClock, log: createLog('silent'), signal: closing.signal }
  // The voice holds the card; and it reads the new settings when it starts again.
  await using _service = root === '/' ? await StoppedVoice.stop(line => processIo.out(line)) : undefined
  using questions = new Questions(process.stdin, process.stdout, closing.signal)
  // `return await`: both of the above must live until it is over.
  return await provisionMain(args, processIo, {
    ask: questions.ask,
    engine: async tell => {
      const { config, bundle } = await setup()
      return provisionEngine(enginesOf(config, enginesFolder(root), new LocalMachine(root)), bundle, tell, closing.signal)
    },
    sound: new ProvisionSound(setup, host),
    claim: (_identity, answers) => claimed(answers, join(root, 'etc/parley/keys'), closing.signal),
  })
}

/** Without a claim there is nothing to be done: the owner brings the certificate himself. */
async function claimed({ claim, broker, site, device }: Answers, folder: string, signal: AbortSignal): Promise<{ seen: string; cert?: string }> {
  if (claim === undefined) return { seen: 'none asked for' }
  if (!broker) throw new ParleyError('bad-config', 'a claim needs a [broker]')
  const { cert } = await provision({
    broker: { url: broker.url, ...(broker.ca ? { ca: broker.ca } : {}), cert: join(folder, CLAIM.cert), key: join(folder, CLAIM.key) },
    claim, site, device, folder, ...(broker.cert ? { certFile: broker.cert } : {}), signal,
  })
  return { seen: `${site}/${device}, certificate in ${cert}`, cert }
}

export const command: Command = { summary: 'identity, site facts and checks of a new device', help, run }
