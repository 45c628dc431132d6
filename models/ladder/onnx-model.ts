import { ProtoWriter } from './protobuf.js'

/** Element types of ONNX tensors (onnx.proto, TensorProto.DataType). */
export const ONNX_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const
export type OnnxType = keyof typeof ONNX_TYPES

export interface TensorInfo {
  readonly name: string
  readonly type: OnnxType
  /** A number of elements, or a name where it is free. */
  readonly shape: readonly (number | string)[]
}

export type Attribute = number | string | readonly number[] | { readonly float: number } | Tensor

export interface Tensor {
  readonly name: string
  readonly type: OnnxType
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

export interface Node {
  readonly op: string
  readonly domain?: string
  readonly name?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, Attribute>>
}

export interface Model {
  readonly name: string
  readonly opsets: Readonly<Record<string, number>>
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly initializers?: readonly Tensor[]
  readonly nodes: readonly Node[]
  readonly metadata?: Readonly<Record<string, string>>
}

/** The bytes of an ONNX file. Field numbers: onnx/onnx.proto (IR version 8, which opset 17 to 20 may stand on). */
export function encodeModel(model: Model): Buffer {
  const out = new ProtoWriter().int(1, 8).text(2, 'parley')
  out.message(7, graph => {
    for (const node of model.nodes) graph.message(1, m => encodeNode(m, node))
    graph.text(2, model.name)
    for (const tensor of model.initializers ?? []) graph.message(5, m => encodeTensor(m, tensor))
    for (const input of model.inputs) graph.message(11, m => encodeInfo(m, input))
    for (const output of model.outputs) graph.message(12, m => encodeInfo(m, output))
  })
  for (const [domain, version] of Object.entries(model.opsets)) out.message(8, m => m.text(1, domain).int(2, version))
  for (const [key, value] of Object.entries(model.metadata ?? {})) out.message(14, m => m.text(1, key).text(2, value))
  return out.finish()
}

function encodeNode(m: ProtoWriter, node: Node): void {
  for (const input of node.inputs) m.text(1, input)
  for (const output of node.outputs) m.text(2, output)
  m.text(3, node.name ?? `${node.op}:${node.outputs[0] ?? ''}`)
  m.text(4, node.op)
  for (const [name, value] of Object.entries(node.attributes ?? {})) m.message(5, a => encodeAttribute(a.text(1, name), value))
  if (node.domain) m.text(7, node.domain)
}

function encodeAttribute(m: ProtoWriter, value: Attribute): void {
  if (typeof value === 'number') m.int(3, value).int(20, 2)
  else if (typeof value === 'string') m.text(4, value).int(20, 3)
  else if ('float' in value) m.float(2, value.float).int(20, 1)
  else if ('data' in value) m.message(5, t => encodeTensor(t, value)).int(20, 4)
  else {
    for (const item of value) m.int(8, item)
    m.int(20, 7)
  }
}

function encodeTensor(m: ProtoWriter, tensor: Tensor): void {
  for (const size of tensor.shape) m.int(1, size)
  m.int(2, ONNX_TYPES[tensor.type]).text(8, tensor.name).bytes(9, tensor.data)
}

function encodeInfo(m: ProtoWriter, info: TensorInfo): void {
  m.text(1, info.name).message(2, type => type.message(1, tensor => {
    tensor.int(1, ONNX_TYPES[info.type])
    tensor.message(2, shape => {
      for (const size of info.shape) shape.message(1, d => (typeof size === 'number' ? d.int(1, size) : d.text(2, size)))
    })
  }))
}
