import { z } from 'zod'

/** Names stand in file names, logs and tensor names: nothing that a shell or a path could read as more. */
export const Name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}$/, 'expected a name of letters, digits, _ . : / -')
export const Text = z.string().min(1).max(4_000)
export const Count = z.int().min(1).max(1_000_000)
/** A file of the bundle: relative, forward slashes, no `..`, no hidden part. Checked again against the folder when it is opened. */
export const FilePath = z.string().max(200).regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*){0,7}$/, 'expected a relative path inside the bundle')
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits')
export const Rate = z.int().min(4_000).max(192_000)
export const DType = z.enum(['float32', 'float16', 'int64', 'int32', 'int8', 'uint8', 'bool'])
/** A token by its piece or by its number. */
export const Token = z.union([z.string().min(1).max(100), z.int().min(0).max(10_000_000)])
export const GraphName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'expected a lower-case name')
export const StreamName = GraphName
export const Finite = z.number().min(-1e6).max(1e6)
