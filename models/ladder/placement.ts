import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import type { Backend, Feeds, GraphSession, Provider, TensorShape } from './backend.js'
import { onnxruntime } from './onnxruntime.js'

export interface Placement {
  readonly provider: Provider
  /** Nodes that ran, by ONNX Runtime's name of the provider that ran them; without those that only copy between memories. */
  readonly nodes: Readonly<Record<string, number>>
  /** Those that ran on another provider than the one that was asked for: `name (operator)`. */
  readonly strays: readonly string[]
}

const PROVIDER_NAMES: Record<Provider, string> = { tensorrt: 'TensorrtExecutionProvider', cuda: 'CUDAExecutionProvider', cpu: 'CPUExecutionProvider' }

/** In memory where there is one: a full disk must not cost the GPU. */
const PROFILES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/**
 * Where the nodes of a graph really ran: one run on zeros under ONNX Runtime's profiler, whose events name the provider of each
 * node. A proof, unlike the list of providers that a session was created with.
 */
export async function placement(file: string, provider: Provider, backend: Backend = onnxruntime): Promise<Placement> {
  const { graph, placed } = await profiled(file, provider, backend, loaded => loaded.run(zeros(loaded.inputs)))
  await graph.release()
  return placed
}

/**
 * Loads a graph and runs it once with `first`, like `create` and `run`, but takes nobody's word for the provider: throws `placement`
 * if none of its nodes ran there. ONNX Runtime gives a provider what it takes and the CPU the rest, which may be all.
 */
export async function createProven(file: string, provider: Provider, backend: Backend, first: (graph: GraphSession) => Promise<unknown>): Promise<GraphSession> {
  const { graph, placed } = await profiled(file, provider, backend, first)
  if (placed.nodes[PROVIDER_NAMES[provider]]) return graph
  await graph.release()
  const where = Object.entries(placed.nodes).map(([name, count]) => `${count} on ${name}`).join(', ')
  throw new ParleyError('placement', `none of its nodes ran on ${PROVIDER_NAMES[provider]}: ${where || 'none ran at all'}`)
}

/** The session goes on without the profiler. */
async function profiled(file: string, provider: Provider, backend: Backend, first: (graph: GraphSession) => Promise<unknown>): Promise<{ graph: GraphSession; placed: Placement }> {
  const folder = await mkdtemp(join(PROFILES, 'parley-profile-'))
  try {
    const graph = await backend.create(file, provider, { profile: join(folder, 'run') })
    try {
      await first(graph)
      graph.endProfiling()
      const profile = (await readdir(folder)).find(name => name.endsWith('.json'))
      if (!profile) throw new ParleyError('placement', 'ONNX Runtime wrote no profile')
      return { graph, placed: { provider, ...parseProfile(await readFile(join(folder, profile), 'utf8'), provider) } }
    } catch (error) {
      await graph.release()
      throw error
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The events of a profile (Chrome's trace format): each node that ran has one of category `Node` that ends in `_kernel_time`. */
export function parseProfile(json: string, provider: Provider): Omit<Placement, 'provider'> {
  const events: unknown = JSON.parse(json)
  if (!Array.isArray(events)) throw new ParleyError('placement', 'a profile is a list of events')
  const nodes: Record<string, number> = {}
  const strays: string[] = []
  for (const event of events as { cat?: string; name?: string; args?: { provider?: string; op_name?: string } }[]) {
    const ran = event.args?.provider
    if (event.cat !== 'Node' || !ran || !event.name?.endsWith('_kernel_time') || event.args?.op_name?.startsWith('Memcpy')) continue
    nodes[ran] = (nodes[ran] ?? 0) + 1
    if (ran !== PROVIDER_NAMES[provider]) strays.push(`${event.name.replace(/_kernel_time$/, '')} (${event.args?.op_name})`)
  }
  return { nodes, strays }
}

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array } as const

function zeros(inputs: readonly TensorShape[]): Feeds {
  const { Tensor } = createRequire(import.meta.url)('onnxruntime-common') as typeof import('onnxruntime-common')
  return Object.fromEntries(inputs.map(({ name, type, shape }) => {
    if (!Object.hasOwn(ARRAYS, type)) throw new ParleyError('placement', `the input ${name} has the type ${type}, which this cannot fill`)
    const dims = shape.map(d => (typeof d === 'number' ? d : 1)) // a free size: one is enough for a proof
    const data = new ARRAYS[type as keyof typeof ARRAYS](dims.reduce((a, b) => a * b, 1))
    return [name, new Tensor(type as 'float32', data as Float32Array, dims)]
  }))
}
