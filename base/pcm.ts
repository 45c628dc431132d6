/** Floats in [-1, 1] to little-endian 16-bit PCM, clipped. */
export function toPcm16(samples: Float32Array): Buffer {
  const bytes = Buffer.allocUnsafe(samples.length * 2)
  for (let i = 0; i < samples.length; i++) {
    const value = Math.round((samples[i] ?? 0) * 32767)
    bytes.writeInt16LE(value > 32767 ? 32767 : value < -32768 ? -32768 : value || 0, i * 2)
  }
  return bytes
}

/** Little-endian 16-bit PCM to floats in [-1, 1]. */
export function fromPcm16(bytes: Buffer): Float32Array {
  const samples = new Float32Array(bytes.length >> 1)
  for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(i * 2) / 32768
  return samples
}
