import { ParleyError, describe } from '../../base/errors.js'
import type { Finding } from '../../base/finding.js'
import { loadBundle } from '../../models/bundle/load.js'
import { ortBackend, placement, type Backend, type Provider } from '../../models/ladder/index.js'
import { engineOptions, enginesOf, ownOnnxruntime } from '../compose/engine-options.js'
import type { Config } from '../config/schema.js'
import { quantile } from '../conversation/statistics.js'
import { figure, type Check } from './check.js'

/** Half a second of ticks says how fast the model is. */
const STEPS = 50
/** Of a tick's 80 ms; more leaves too little for sound and for a bad moment. */
const STEP_LIMIT_MS = 40

const REINSTALL = 'sudo touch /opt/parley/.reinstall && sudo deploy/install.sh (on a Jetson first: sudo rm /opt/parley/engines/sm*, then: sudo parley engines build)'
const SET_UP = 'npm ci, and a bundle of this version: the bundle or this build of ONNX Runtime is not what was tested'

/** `folder`: of the bundle; `installed`: on a device, which has no npm. */
export function modelChecks(config: Config, folder: string, installed: boolean): Check[] {
  return [
    {
      what: 'bundle', needed: true, always: true,
      look: async () => {
        const { manifest } = await loadBundle(folder, { verify: 'full' })
        const bytes = Object.values(manifest.files).reduce((sum, f) => sum + f.bytes, 0)
        return { state: 'ok', seen: `${manifest.name} ${manifest.version}, ${figure(bytes / 2 ** 20)} MB, every hash holds` }
      },
    },
    {
      what: 'model', needed: true,
      look: async () => {
        const { openSession } = await import('../../models/engine/index.js')
        const startedAt = performance.now()
        await using session = await openSession(folder, { ...(await engineOptions(config, folder)), selfTest: 'never' }) // its own check is below
        const startMs = performance.now() - startedAt
        const times: number[] = []
        for (let i = 0; i < STEPS; i++) times.push((await session.step({ at: i * 80, audio: new Float32Array(session.tickSamples) })).stepMs)
        const p95 = quantile(times, 0.95) ?? Infinity
        const refused = session.refusals.map(r => `${r.provider}: ${r.reason}`).join('; ')
        const seen = `${session.provider}${refused ? ` (refused: ${refused})` : ''}; ready in ${figure(startMs)} ms; a step takes ${figure(quantile(times, 0.5) ?? 0)} ms, p95 ${figure(p95)}`
        const own = ownOnnxruntime(config)
        if (own !== undefined && session.provider === 'cpu') return { state: 'warn', seen, mend: `${own} was named and no GPU ran the model: docs/jetson-checklist.md, its first lines` }
        return p95 <= STEP_LIMIT_MS ? { state: 'ok', seen } : { state: 'warn', seen, mend: `of 80 ms; is something else using the processor? (top)` }
      },
    },
    {
      what: 'golden utterance', needed: true,
      look: async () => {
        const { openSession, runGolden } = await import('../../models/engine/index.js')
        const bundle = await loadBundle(folder)
        await using session = await openSession(bundle, { ...(await engineOptions(config, folder)), selfTest: 'never' })
        const { passed, missing, text, onsetMs } = await runGolden(session, bundle)
        if (passed) return { state: 'ok', seen: `"${text}"${onsetMs === undefined ? '' : `, first sound ${figure(Math.abs(onsetMs))} ms ${onsetMs < 0 ? 'before' : 'after'} the recording's end`}` }
        return { state: 'fail', seen: `missing: ${missing.join(', ')}`, mend: installed ? REINSTALL : SET_UP }
      },
    },
  ]
}

export interface Placed {
  readonly graph: string
  readonly provider: Provider
  /** Which providers ran how many, or why none did. */
  readonly nodes: string
  /** Those that ran elsewhere. */
  readonly strays: readonly string[]
}

/** Where the nodes of each graph really ran; TensorRT loads its ready engine in the place of the step graph, and nothing else, as at a start. */
export async function placements(config: Config, folder: string, backend: Backend = ortBackend(ownOnnxruntime(config)), engines = enginesOf(config)): Promise<Placed[]> {
  const bundle = await loadBundle(folder)
  const { tensorrtWrapper } = await engineOptions(config, folder, engines)
  const rows: Placed[] = []
  for (const [name, graph] of Object.entries(bundle.manifest.graphs)) {
    for (const provider of config.bundle.providers) {
      const file = provider === 'cpu' ? graph.files.cpu ?? graph.files.any : graph.files.trt ?? graph.files.any
      if (!file) continue
      try {
        backend.need(provider)
        const loaded = provider !== 'tensorrt' ? bundle.path(file.path) : graph.role === 'step' ? tensorrtWrapper : undefined
        if (loaded === undefined) throw new ParleyError('engine-missing', 'no engine is built for it', { hint: 'sudo parley engines build' })
        const { nodes, strays } = await placement(loaded, provider, backend)
        rows.push({ graph: name, provider, nodes: Object.entries(nodes).map(([p, n]) => `${p} ${n}`).join(', '), strays })
      } catch (error) {
        rows.push({ graph: name, provider, nodes: `refused: ${describe(error)}`, strays: [] })
      }
    }
  }
  return rows
}

/** A rung that is refused is no fault here, the ladder has others; one that leaves part of its work to another is. */
export function strayFindings(placed: readonly Placed[]): Finding[] {
  return placed.filter(p => p.provider !== 'cpu' && p.strays.length > 0).map(({ graph, provider, strays }) => ({
    what: 'placement', state: 'fail', seen: `${graph} on ${provider}: ${strays.length} nodes ran elsewhere, ${strays.slice(0, 3).join(', ')}`,
    mend: `the bundle's graph is not for ${provider}: tell the vendor; until then leave ${provider} out of [bundle] providers`,
  }))
}
