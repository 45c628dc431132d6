#!/usr/bin/env node
// Stands in for TensorRT's trtexec: checks its arguments as the real one does, prints what the real one prints, and writes an
// engine that says how it was made. What the graph's file holds decides how it goes.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'

const KNOWN = ['--onnx', '--stronglyTyped', '--saveEngine', '--skipInference', '--memPoolSize', '--timingCacheFile']
const given = Object.fromEntries(process.argv.slice(2).map(arg => (arg.includes('=') ? [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)] : [arg, true])))
const unknown = Object.keys(given).filter(k => !KNOWN.includes(k))
if (unknown.length || !given['--onnx'] || !given['--saveEngine'] || !/^workspace:\d+M$/.test(given['--memPoolSize'] ?? '')) {
  console.error(`[E] Unknown or missing option: ${unknown.join(' ') || 'see --help'}`)
  process.exit(1)
}
const graph = readFileSync(given['--onnx'], 'utf8')
console.log('[I] === Model Options ===')
console.log('[I] Start parsing network model.')
if (graph === 'broken') {
  console.log('[E] Error parsing network model: node 7 DynamicQuantizeLinear is not supported')
  console.log('&&&& FAILED TensorRT.trtexec [TensorRT v100300]')
  process.exit(1)
}
console.log('[I] [TRT] Local timing cache in use. Profiling results in this builder pass will be stored.')
if (graph === 'slow') setInterval(() => console.log('[I] [TRT] Still timing tactics'), 50)
else {
  console.log('[I] [TRT] Compiler backend is used during engine build.')
  console.log('[I] Engine built in 3.1 sec.')
  if (graph !== 'silent') writeFileSync(given['--saveEngine'], JSON.stringify({ ...given, nice: getPriority(), ionice: execFileSync('ionice', ['-p', String(process.pid)], { encoding: 'utf8' }).trim() }))
  if (given['--timingCacheFile']) writeFileSync(given['--timingCacheFile'], 'cache')
  console.log('&&&& PASSED TensorRT.trtexec [TensorRT v100300]')
}
