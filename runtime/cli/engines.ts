import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../../base/clock.js'
import { BundleChoice } from '../compose/bundle-choice.js'
import { enginesFolder, enginesOf } from '../compose/engine-options.js'
import { NO_ENGINE, progressLine } from '../compose/engine-words.js'
import { loadConfig } from '../config/load.js'
import type { Config } from '../config/schema.js'
import { EXIT, say, table, untilSignal, usage, type Command } from './command.js'
import { bundlePath } from './paths.js'

const help = `
parley engines [list|build|clear] [--bundle DIR] [--cache DIR] [--json]

TensorRT engines of this device. An engine is tied to the graph, the GPU and the versions of TensorRT and ONNX Runtime; where one of
these has changed, another is built. On a machine without TensorRT there is none, nor for a bundle without a graph for it (trt, any): nothing
to do. Without its engine a bundle runs on CUDA or the CPU.

  list         what is there, and which one the bundle uses (the default of a person)
  build        builds the bundle's engine if it is missing: minutes, at the lowest priority (the updater does this before a switch)
  clear        removes all that no bundle uses: this one, the configured one and the one chosen from afar
  --cache DIR  default: ${enginesFolder('/')}
  --json       as JSON

Exit codes: 0 done, 2 wrong command line, 5 the build failed, 6 a damaged bundle, 130 interrupted.`

const VERBS: readonly string[] = ['list', 'build', 'clear']

function options(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: { bundle: { type: 'string' }, cache: { type: 'string' }, json: { type: 'boolean', default: false }, config: { type: 'string' } } })
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause))
  }
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args)
  // The updater of an older release names only the folders.
  const verb = positionals[0] ?? (values.bundle !== undefined && args.includes('--cache') ? 'build' : 'list')
  if (!VERBS.includes(verb) || positionals.length > 1) throw usage(`engines takes one of ${VERBS.join(', ')}`)
  const { config, path } = await loadConfig(values.config)
  const bundle = bundlePath(values.bundle, config.bundle.path, path)
  const folder = values.cache ?? enginesFolder()
  const engines = enginesOf(config, folder)
  const closing = untilSignal()
  const tell = (result: object, text: string): void => say(values.json ? JSON.stringify(result) : text)
  if (verb === 'build') {
    let phase = ''
    const result = await engines.build(bundle, systemClock, progress => {
      if (progress.phase === phase && !values.json) return
      phase = progress.phase
      tell(progress, progressLine(progress))
    }, closing.signal)
    tell({ result }, result === 'built' ? 'the engine is built' : result === 'there' ? 'the engine is there already' : `${NO_ENGINE[result]}: nothing to build`)
  } else if (verb === 'clear') {
    const gone = await engines.clear(await inForce(config, path, bundle))
    tell({ removed: gone }, gone.length ? gone.map(file => `removed ${file}`).join('\n') : 'nothing to remove')
  } else {
    const rows = await engines.list(bundle)
    const { is } = await engines.state(bundle)
    const why = is === 'ready' || is === 'unbuilt' ? '' : `: ${NO_ENGINE[is]}`
    tell(rows, rows.length ? table(['engine', 'MB', 'used by the bundle'], rows.map(r => [r.file, Math.round(r.bytes / 2 ** 20), r.used ? 'yes' : 'no'])) : `no engine in ${folder}${why}`)
  }
  return closing.signal.aborted ? EXIT.interrupted : EXIT.ok
}

/** The bundles that this device may run at its next start: also one that was chosen from afar is kept by an update. */
async function inForce(config: Config, path: string | undefined, bundle: string): Promise<string[]> {
  const { bundle: { path: configured, folder }, telemetry } = config
  const chosen = telemetry && (await new BundleChoice(folder, telemetry.folder).chosen())
  return [bundle, ...(configured === undefined ? [] : [bundlePath(undefined, configured, path)]), ...(chosen === undefined ? [] : [join(folder, chosen)])]
}

export const command: Command = { summary: 'the TensorRT engines of this device: list, build, clear', help, run }
