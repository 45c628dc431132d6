import type { Said } from '../../models/session.js'
import type { Case } from '../../models/eval/cases.js'
import type { CaseResult } from '../../models/eval/run-case.js'
import type { Figure } from '../../models/eval/figure.js'
import type { Report } from '../../models/eval/report.js'

export function caseOf(parts: Partial<Case> = {}): Case {
  return { wav: '0.wav', set: 'voices', voice: 'flite:awb', kind: 'fact', intent: 'place.where', said: 'where is the restroom', facts: [], calls: [], values: [], missing: false, reply: '', ...parts }
}

export function resultOf(parts: Partial<CaseResult> = {}): CaseResult {
  return {
    item: caseOf(), expected: { calls: [], values: [], facts: [], allowed: '', missing: false, said: '' }, focus: true, text: 'x', calls: [],
    callsRight: true, valuesRight: true, unknown: false, wrong: [], onsetMs: 300, ended: true, speechTicks: 20, pace: 12, style: 'neutral', heard: '', hearing: { errors: 0, words: 0 }, sounds: undefined, ...parts,
  }
}

/** Ticks from a picture: `.` silent, `s` speech, `B` speech with begin, `E` silent with end, `C` silent with cut. */
export function ticks(picture: string): Said[] {
  return [...picture].map((x, t): Said => {
    const mark = x === 'B' ? 'begin' : x === 'E' ? 'end' : x === 'C' ? 'cut' : undefined
    return { at: t * 80, text: '', heard: '', speech: x === 's' || x === 'B' ? new Float32Array(4).fill(1) : undefined, stepMs: 1, ...(mark && { mark }) }
  })
}

export function figureOf(parts: Partial<Figure> = {}): Figure {
  return { key: 'calls.voices', title: 'tool call exact', unit: '%', value: 96, n: 100, of: 'cases', interval: [90, 98], bar: { least: 95 }, accuracy: true, ...parts }
}

export function reportOf(figures: Figure[], part?: string): Report {
  return {
    when: '2030-01-02T03:04:05.000Z', figures, machine: { cpu: 'a CPU', cores: 2, load: 0 },
    bundle: { name: 'pico', version: '0.1.0', sha256: '0123456789abcdef00', precision: 'int8-u8s8', provider: 'cpu' },
    cases: { sha256: 'c', n: 100, unjudged: 0, ...(part && { part }) },
  }
}
