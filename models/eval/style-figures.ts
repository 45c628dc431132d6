import { share, type Figure } from './figure.js'
import type { ToneResult } from './run-tone.js'
import { percentile } from './statistics.js'
import type { VoiceMeasure } from './voice-measure.js'

/** Fewer replies in a style say nothing about how it sounds. */
const LEAST_REPLIES = 3

/** For each tone of voice: how often the answer has the style that it asks for. */
export function toneFigures(tones: readonly ToneResult[]): Figure[] {
  return [...new Set(tones.map(r => r.item.tone))].map(tone => {
    const of = tones.filter(r => r.item.tone === tone)
    return share({ key: `tone.${tone}`, title: `${tone} to, it answers ${of[0]?.item.wants}` }, of, r => r.style === r.item.wants)
  })
}

/** For each style that was heard often enough: pitch, voicing, level and pace, each the median over its replies. */
export function styleFigures(replies: readonly { readonly style: string; readonly pace: number | undefined; readonly sounds: VoiceMeasure | undefined }[]): Figure[] {
  return [...new Set(replies.map(r => r.style))].sort().flatMap(style => {
    const own = replies.filter(r => r.style === style && r.sounds)
    const voices = own.flatMap(r => r.sounds ?? [])
    if (voices.length < LEAST_REPLIES) return []
    const row = (key: string, title: string, unit: Figure['unit'], values: readonly number[]): Figure =>
      ({ key: `style.${style}.${key}`, title: `its voice, ${style}: ${title}`, unit, value: percentile(values, 0.5), n: values.length, of: 'replies' })
    return [
      row('pitch', 'pitch', 'Hz', voices.flatMap(v => v.pitch ?? [])),
      row('voiced', 'voiced share', '%', voices.map(v => 100 * v.voiced)),
      row('level', 'level', 'dB', voices.map(v => v.level)),
      row('pace', 'pace', 'letters/s', own.flatMap(r => r.pace ?? [])),
    ]
  })
}
