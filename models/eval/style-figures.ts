import { share, type Figure } from './figure.js'
import type { ToneResult } from './run-tone.js'
import { percentile } from './statistics.js'
import type { VoiceMeasure } from './voice-measure.js'

/** Fewer replies in a style say nothing about how it sounds. */
const LEAST_REPLIES = 3

/** For each tone of voice, and each style that is asked for in words: how often the answer has the style that is wanted. */
export function toneFigures(tones: readonly ToneResult[]): Figure[] {
  const keyOf = ({ item }: ToneResult): string => (item.tone === 'asked' ? `asked.${item.wants}` : item.tone)
  return [...new Set(tones.map(keyOf))].map(key => {
    const of = tones.filter(r => keyOf(r) === key)
    const { tone, wants } = (of[0] as ToneResult).item
    return share({ key: `tone.${key}`, title: tone === 'asked' ? `asked in words for the style ${wants}, it answers in it` : `${tone} to, it answers ${wants}` }, of, r => r.style === r.item.wants)
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
