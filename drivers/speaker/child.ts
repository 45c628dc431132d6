/**
 * The process that owns the sound card through the package `speaker`. It is alone because that package can abort,
 * crash and leak; the runtime starts it anew. It does what it is told, in order, and ends with its parent.
 */
import Speaker from 'speaker'
import { checkConfig, type ChildConfig, type FromChild, type ToChild } from './child-protocol.js'

const config = JSON.parse(process.argv[2] ?? '{}') as ChildConfig
checkConfig(config)

interface Chunk {
  readonly id: number
  readonly pcm: Uint8Array
}

let speaker: Speaker | undefined
let writing = false
let waiting: Chunk[] = []
let flushing: number | undefined

function tell(message: FromChild): void {
  process.send?.(message)
}

function device(): Speaker {
  if (speaker) return speaker
  const options = { sampleRate: config.rate, channels: config.channels, bitDepth: 16, signed: true, ...(config.device ? { device: config.device } : {}) }
  const opened = new Speaker(options)
  opened.on('error', (error: Error) => fail(error.message))
  return (speaker = opened)
}

function fail(why: string): void {
  tell({ type: 'failed', why })
  process.exitCode = 1
  process.disconnect?.()
}

function next(): void {
  if (writing) return
  if (flushing !== undefined) {
    // Only here, with no write in flight: closing under one can crash the process.
    speaker?.close(true)
    speaker = undefined
    tell({ type: 'silent', id: flushing })
    flushing = undefined
    next()
    return
  }
  const chunk = waiting.shift()
  if (chunk) write(chunk.pcm, () => tell({ type: 'taken', id: chunk.id }))
}

function write(pcm: Uint8Array, done: () => void): void {
  writing = true
  device().write(pcm, error => {
    writing = false
    if (error) return fail(error.message)
    done()
    next()
  })
}

process.on('message', (message: ToChild) => {
  if (message.type === 'play') {
    waiting.push(message)
  } else {
    waiting = [] // all of it came before the flush
    flushing = message.id
  }
  next()
})
process.on('disconnect', () => process.exit())
// A Ctrl-C in the terminal reaches the whole group: the parent decides when to end.
process.on('SIGINT', () => {})

write(new Uint8Array((config.rate / 50) * config.channels * 2), () => tell({ type: 'ready' }))
