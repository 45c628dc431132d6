import { basename } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { encodeModel, type TensorInfo } from './onnx-model.js'

export interface EpContext {
  /** The engine that trtexec made: a name beside the wrapper. TensorRT's provider refuses absolute paths and `..`. */
  readonly engineFile: string
  /** CUDA compute capability without a point: `87` is Orin, `110` is Thor. */
  readonly computeCapability: string
  /** Of the TensorRT that built the engine; an engine of another version does not load. */
  readonly tensorrtVersion: string
  /** The graph that the engine was built from. */
  readonly modelFile: string
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
}

/**
 * The bytes of a graph of one node that stands for a ready engine, so that it loads without any provider option, which the Node
 * binding could not pass on (facts.md). Inputs and outputs must be those of the original graph, in its order.
 * Source: com.microsoft.EPContext in ONNX Runtime's contrib operators, and onnx_ctx_model_helper.cc of its TensorRT provider.
 */
export function epContextModel(context: EpContext): Buffer {
  if (basename(context.engineFile) !== context.engineFile) throw new ParleyError('ep-context', `the engine ${context.engineFile} must stand beside its wrapper`)
  if (!/^[0-9]{2,3}$/.test(context.computeCapability)) throw new ParleyError('ep-context', `a compute capability is two or three digits, such as 87, not ${context.computeCapability}`)
  return encodeModel({
    name: 'engine',
    opsets: { '': 17, 'com.microsoft': 1 },
    inputs: context.inputs,
    outputs: context.outputs,
    nodes: [{
      op: 'EPContext',
      domain: 'com.microsoft',
      name: 'engine',
      inputs: context.inputs.map(i => i.name),
      outputs: context.outputs.map(o => o.name),
      attributes: {
        main_context: 1,
        embed_mode: 0, // the engine stays a file of its own
        ep_cache_context: context.engineFile,
        ep_sdk_version: context.tensorrtVersion,
        hardware_architecture: context.computeCapability,
        onnx_model_filename: basename(context.modelFile),
        partition_name: 'engine',
        source: 'TensorrtExecutionProvider',
      },
    }],
  })
}
