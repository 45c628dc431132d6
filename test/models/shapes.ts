import type { z } from 'zod'
import type { Manifest } from '../../models/bundle/index.js'

/** A manifest as a person writes it: defaults left out. */
export type Written = z.input<typeof Manifest>

const sha256 = '0'.repeat(64)
const files = (...names: string[]): Written['files'] => Object.fromEntries(names.map(name => [name, { bytes: 1_000, sha256 }]))
const any = (path: string, precision: 'fp32' | 'fp16' | 'int4-weights' | 'int8-s8s8' = 'fp16') => ({ any: { path, precision } })
const grow = (layers: number, heads: number, headSize: number) => Array.from({ length: layers }, (_, i) => ['key', 'value'].map(kv => ({
  name: `past.${i}.${kv}`, output: `present.${i}.${kv}`, dtype: 'float16' as const, shape: [1, heads, 'grow' as const, headSize], kind: 'kv-grow' as const, reset: 'session' as const,
}))).flat()
const base = { schema: 1 as const, version: '1.0.0', licence: 'see the model card', voices: { default: 'one', presets: [{ name: 'one' }] }, golden: { wav: 'golden.wav', expect: { words: ['hello'] } } }

/** LFM2.5-Audio: 6 text tokens, 12 audio frames, and again; FastConformer rows at placeholders; 8 codebooks by a depth transformer; host ISTFT. */
const lfmAudio: Written = {
  ...base, name: 'lfm2.5-audio',
  files: files('golden.wav', 'tokenizer.json', 'encoder.onnx', 'backbone.onnx', 'depth.onnx', 'decoder.onnx', 'text-table.bin', 'audio-table.bin'),
  tokenizer: { kind: 'huggingface', file: 'tokenizer.json', size: 65_536 },
  graphs: {
    encoder: { role: 'audio_encoder', files: any('encoder.onnx') },
    backbone: { role: 'backbone', files: any('backbone.onnx', 'int4-weights'), states: [...grow(6, 8, 64), { name: 'conv.0', output: 'conv.0.new', shape: [1, 2_048, 3], kind: 'conv', reset: 'session' }] },
    depth: { role: 'depth', files: any('depth.onnx'), states: grow(6, 8, 32).map(s => ({ ...s, reset: 'tick' as const })) },
    decoder: { role: 'codec_decoder', files: any('decoder.onnx'), states: [{ name: 'tail', output: 'tail_new', shape: [1, 960], kind: 'overlap', reset: 'turn' }] },
  },
  streams: [
    { name: 'sound', carries: 'audio-in', embed: { how: 'scatter', graph: 'encoder', placeholder: '<|audio|>', width: 2_048 } },
    { name: 'prompt', carries: 'text-in', embed: { how: 'table', file: 'text-table.bin', dtype: 'float16', rows: 65_536, width: 2_048 }, vocabulary: 65_536 },
    { name: 'text', carries: 'text-out', embed: { how: 'table', file: 'text-table.bin', dtype: 'float16', rows: 65_536, width: 2_048 }, vocabulary: 65_536 },
    { name: 'codes', carries: 'codes-out', embed: { how: 'table', file: 'audio-table.bin', dtype: 'float16', rows: 16_392, width: 2_048 }, vocabulary: 2_049 },
  ],
  combine: 'scatter',
  schedule: { kind: 'interleave', text: 6, audio: 12, switch: [{ token: '<|text_end|>', stream: 'text', to: 'codes' }], stop: [{ token: '<|im_end|>', stream: 'text' }, { token: 2_048, stream: 'codes' }], precedence: ['stop', 'switch', 'limit'], limit: 2_048 },
  depth: { mode: 'autoregressive', codebooks: 8, where: 'host', graph: 'depth', conditionedOn: ['hidden'] },
  codec: { rate: 24_000, frameRate: 12.5, codebooks: 8, codes: 2_049, samplesPerFrame: 1_920, flatten: { order: 'offset' }, overlap: 960, istft: { nfft: 1_280, hop: 320, window: 'hann' } },
  frontEnd: { rate: 16_000, kind: 'mel', mel: { nfft: 512, window: 400, hop: 160, bins: 128, fmin: 0, fmax: 8_000, scale: 'slaney', log: 'ln', normalise: 'feature', preemphasis: 0.97 }, framesPerEmbedding: 8 },
  sampling: { text: { method: 'greedy' }, codes: { method: 'top-k', temperature: 1, topK: 4 } },
  prompt: { template: '<|startoftext|><|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{audio}<|im_end|>\n<|im_start|>assistant\n', system: ['Respond with interleaved text and audio.'] },
  tokens: { endOfTurn: '<|im_end|>', audioBegin: '<|audio_start|>', textEnd: '<|text_end|>', audioPlaceholder: '<|audio|>' },
}

/** LFM3-Omni: 12 codebooks by 3 MaskGIT passes of 4. */
const lfmOmni: Written = {
  ...lfmAudio, name: 'lfm3-omni',
  depth: { mode: 'maskgit', groups: [4, 4, 4], graph: 'depth', passesPerGroup: 1 },
  codec: { rate: 24_000, frameRate: 12.5, codebooks: 12, codes: 2_048, samplesPerFrame: 1_920, istft: { nfft: 1_920, hop: 480, window: 'hann', centre: false } },
  sampling: { text: { method: 'top-p', temperature: 0.3, topP: 0.9 }, codes: { method: 'gumbel', temperature: 1 } },
}

/** Mini-Omni2: 8 parallel streams averaged, layer i delayed by i + 1, SNAC with 1, 2 and 4 codes a frame. */
const miniOmni: Written = {
  ...base, name: 'mini-omni2',
  files: files('golden.wav', 'tokenizer.json', 'whisper.onnx', 'clip.onnx', 'lm.onnx', 'snac.onnx', 'table.bin'),
  tokenizer: { kind: 'huggingface', file: 'tokenizer.json', size: 181_120 },
  graphs: {
    whisper: { role: 'audio_encoder', files: any('whisper.onnx') },
    clip: { role: 'image_encoder', files: any('clip.onnx') },
    lm: { role: 'backbone', files: any('lm.onnx'), states: grow(24, 2, 64) },
    snac: { role: 'codec_decoder', files: any('snac.onnx', 'fp32') },
  },
  streams: [
    { name: 'sound', carries: 'audio-in', embed: { how: 'graph', input: 'audio_features' } },
    { name: 'image', carries: 'image-in', embed: { how: 'graph', input: 'image_features' } },
    { name: 'text', carries: 'text-out', embed: { how: 'table', file: 'table.bin', dtype: 'float16', rows: 181_120, width: 896 }, vocabulary: 152_000 },
    ...Array.from({ length: 7 }, (_, i) => ({ name: `layer_${i}`, carries: 'codes-out' as const, embed: { how: 'table' as const, file: 'table.bin', dtype: 'float16' as const, rows: 181_120, width: 896 }, vocabulary: 4_160 })),
  ],
  combine: 'mean',
  schedule: { kind: 'parallel', streams: [...Array.from({ length: 7 }, (_, i) => `layer_${i}`), 'text'], delays: [1, 2, 3, 4, 5, 6, 7, 0], textLead: 1, stop: [{ token: 4_096, stream: 'layer_6' }], limit: 2_048 },
  depth: { mode: 'none' },
  codec: { rate: 24_000, frameRate: 11.71875, codebooks: 3, codes: 4_096, samplesPerFrame: 2_048, flatten: { order: 'coarse-to-fine', repeats: [1, 2, 4] } },
  frontEnd: { rate: 16_000, kind: 'mel', mel: { nfft: 400, window: 400, hop: 160, bins: 80, fmin: 0, fmax: 8_000, scale: 'slaney', log: 'log10', normalise: 'whisper' }, framesPerEmbedding: 2 },
  sampling: { text: { method: 'top-k', temperature: 0.9, topK: 1 }, layer_0: { method: 'top-k', temperature: 0.9, topK: 1 } },
  tokens: { endOfTurn: 151_936, pad: 151_937 },
}

/** Moshi: full duplex, 17 summed streams, acoustic delay 1, 8 depth steps conditioned on the text token. */
const moshi: Written = {
  ...base, name: 'moshi',
  files: files('golden.wav', 'tokenizer.model', 'mimi-encoder.onnx', 'temporal.onnx', 'depth.onnx', 'mimi-decoder.onnx'),
  tokenizer: { kind: 'sentencepiece', file: 'tokenizer.model', size: 32_000 },
  graphs: {
    ear: { role: 'audio_encoder', files: any('mimi-encoder.onnx', 'fp32'), states: [{ name: 'conv0', output: 'conv0_new', shape: [1, 64, 6], kind: 'conv', reset: 'session' }] },
    temporal: {
      role: 'backbone', files: any('temporal.onnx', 'int8-s8s8'), context: { layers: 1, heads: 32, headSize: 128, facts: 0, stream: 3_000 },
      states: [{ name: 'k0', output: 'k_new', shape: [1, 32, 128, 3_000], kind: 'kv-ring', reset: 'session', slotAxis: 3, slice: 0 }, { name: 'v0', output: 'v_new', shape: [1, 32, 3_000, 128], kind: 'kv-ring', reset: 'session', slotAxis: 2, slice: 0 }, { name: 'offset', output: 'offset_new', dtype: 'int64', shape: [1], kind: 'counter', reset: 'session' }],
    },
    depth: { role: 'depth', files: any('depth.onnx'), states: [{ name: 'dk', output: 'dk_new', shape: [1, 16, 'grow', 64], kind: 'kv-grow', reset: 'tick' }] },
    mouth: { role: 'codec_decoder', files: any('mimi-decoder.onnx', 'fp32'), states: [{ name: 'overlap', output: 'overlap_new', shape: [1, 1, 960], kind: 'overlap', reset: 'session' }] },
  },
  streams: [
    { name: 'text', carries: 'text-out', embed: { how: 'graph', input: 'text' }, vocabulary: 32_000 },
    ...Array.from({ length: 8 }, (_, i) => ({ name: `said_${i}`, carries: 'codes-out' as const, embed: { how: 'graph' as const, input: `codes_${i}` }, vocabulary: 2_048 })),
    ...Array.from({ length: 8 }, (_, i) => ({ name: `heard_${i}`, carries: 'audio-in' as const, embed: { how: 'graph' as const, input: `codes_${i + 8}` }, vocabulary: 2_048 })),
  ],
  combine: 'sum',
  schedule: { kind: 'tick', ms: 80 },
  depth: { mode: 'autoregressive', codebooks: 8, where: 'host', graph: 'depth', conditionedOn: ['hidden', 'text'] },
  codec: { rate: 24_000, frameRate: 12.5, codebooks: 8, codes: 2_048, samplesPerFrame: 1_920, lookahead: 0 },
  frontEnd: { rate: 24_000, kind: 'waveform', samplesPerStep: 1_920 },
  sampling: { text: { method: 'top-k', temperature: 0.7, topK: 25 }, said_0: { method: 'top-k', temperature: 0.8, topK: 250 } },
  tokens: { none: 3, pad: 0 },
  notes: { 'acoustic delay': 1 },
}

/** Qwen2.5-Omni: thinker, talker, token to wave. */
const qwenOmni: Written = {
  ...base, name: 'qwen2.5-omni',
  files: files('golden.wav', 'tokenizer.json', 'audio.onnx', 'vision.onnx', 'thinker.onnx', 'talker.onnx', 'dit.onnx', 'bigvgan.onnx', 'ethan.bin', 'table.bin'),
  tokenizer: { kind: 'huggingface', file: 'tokenizer.json', size: 151_665 },
  graphs: {
    audio: { role: 'audio_encoder', files: any('audio.onnx') },
    vision: { role: 'image_encoder', files: any('vision.onnx') },
    thinker: { role: 'backbone', files: { trt: { path: 'thinker.onnx', precision: 'fp16' } }, states: grow(28, 4, 128) },
    talker: { role: 'talker', files: any('talker.onnx'), states: grow(24, 4, 64).map(s => ({ ...s, reset: 'turn' as const })) },
    dit: { role: 'token2wav', files: any('dit.onnx') },
    bigvgan: { role: 'vocoder', files: any('bigvgan.onnx', 'fp32') },
  },
  streams: [
    { name: 'sound', carries: 'audio-in', embed: { how: 'scatter', graph: 'audio', placeholder: '<|AUDIO|>', width: 3_584 } },
    { name: 'image', carries: 'image-in', embed: { how: 'scatter', graph: 'vision', placeholder: '<|IMAGE|>', width: 3_584 } },
    { name: 'text', carries: 'text-out', embed: { how: 'table', file: 'table.bin', dtype: 'float16', rows: 152_064, width: 3_584 }, vocabulary: 152_064 },
    { name: 'codes', carries: 'codes-out', embed: { how: 'graph', input: 'codec_ids' }, vocabulary: 8_448 },
  ],
  combine: 'scatter',
  schedule: { kind: 'thinker_talker', thinker: 'thinker', talker: 'talker', tokenToWave: 'dit', hiddenFrom: ['embedding', 'hidden'], stop: [{ token: '<|im_end|>', stream: 'text' }, { token: 8_294, stream: 'codes' }] },
  depth: { mode: 'none' },
  codec: { rate: 24_000, frameRate: 50, codebooks: 1, codes: 8_448, samplesPerFrame: 480, overlap: 240, lookahead: 10 },
  frontEnd: { rate: 16_000, kind: 'mel', mel: { nfft: 400, window: 400, hop: 160, bins: 128, fmin: 0, fmax: 8_000, scale: 'slaney', log: 'log10', normalise: 'whisper' }, framesPerEmbedding: 4 },
  sampling: { text: { method: 'greedy' }, codes: { method: 'top-p', temperature: 0.9, topP: 0.8, topK: 40, repetitionPenalty: 1.05 } },
  prompt: { template: '<|im_start|>system\n{system}<|im_end|>\n', system: ['You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and visual inputs, as well as generating text and speech.'] },
  voices: { default: 'ethan', presets: [{ name: 'ethan', embedding: 'ethan.bin' }] },
  tokens: { endOfTurn: '<|im_end|>', audioBegin: '<|audio_bos|>', audioEnd: '<|audio_eos|>', imageBegin: '<|vision_bos|>', imageEnd: '<|vision_eos|>', audioPlaceholder: '<|AUDIO|>' },
}

export const SHAPES: readonly Written[] = [lfmAudio, lfmOmni, miniOmni, moshi, qwenOmni]
