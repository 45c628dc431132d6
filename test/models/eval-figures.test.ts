import t from 'tap'
import { lossAgainst, verdictOf, type Figure } from '../../models/eval/figure.js'
import { figuresOf, lossFigure, unjudged, type Results } from '../../models/eval/figures.js'
import { caseOf, figureOf, resultOf } from './eval-kit.js'

const none: Results = { cases: [], follows: [], quiet: [], tones: [], people: [], readers: [], orders: [], pairs: [], words: undefined, times: { steps: [], graphMs: 0 } }
const get = (results: Partial<Results>, key: string): Figure | undefined => figuresOf({ ...none, ...results }).find(f => f.key === key)

t.test('calls are counted by what was held out, all and focus', async t => {
  const action = (set: 'voices' | 'phrasings', callsRight: boolean, focus: boolean): ReturnType<typeof resultOf> => resultOf({ item: caseOf({ set, kind: 'action', calls: ['stop()'] }), callsRight, focus })
  const cases = [action('voices', true, true), action('voices', false, false), action('phrasings', false, true), resultOf()]
  t.match(get({ cases }, 'calls.voices'), { value: 50, n: 2, bar: { least: 95 } })
  t.match(get({ cases }, 'calls.voices.focus'), { value: 100, n: 1 })
  t.match(get({ cases }, 'calls.phrasings'), { value: 0, n: 1, bar: { least: 90 } })
  t.match(get({ cases }, 'calls.both'), { value: undefined, n: 0 })
  t.match(get({ cases }, 'calls.none'), { value: 100, n: 1 })
})

t.test('facts that are there and facts that are missing are counted apart; wrong facts over both', async t => {
  const cases = [
    resultOf({ item: caseOf({ values: ['9'] }) }),
    resultOf({ item: caseOf({ values: ['9'] }), valuesRight: false, wrong: ['3'] }),
    resultOf({ item: caseOf({ missing: true }), unknown: true }),
    resultOf({ item: caseOf() }),
  ]
  t.match(get({ cases }, 'reply.voices'), { value: 50, n: 2 })
  t.match(get({ cases }, 'unknown'), { value: 100, n: 1 })
  t.match(get({ cases }, 'wrong'), { n: 3 })
  t.equal(Math.round(get({ cases }, 'wrong')?.value ?? 0), 33)
  t.equal(unjudged(cases), 1)
})

t.test('who does not wait does not make the onset better', async t => {
  const cases = [resultOf({ onsetMs: -400 }), resultOf({ onsetMs: 320 }), resultOf({ onsetMs: undefined })]
  t.match(get({ cases }, 'onset.p50'), { value: 320, n: 1, bar: { most: 350 } })
  t.match(get({ cases }, 'early'), { value: 50, n: 2 })
  t.equal(Math.round(get({ cases }, 'answered')?.value ?? 0), 67)
})

t.test('answers to noise are a rate', async t => {
  const quiet = [{ wav: 'a', kind: 'hum', hours: 0.25, replies: 1, spoken: 0.05, text: '' }, { wav: 'b', kind: 'music', hours: 0.25, replies: 0, spoken: 0, text: '' }]
  t.match(get({ quiet }, 'noise'), { value: 2, n: 0.5, unit: 'an hour' })
  t.match(get({ quiet }, 'noise.speech'), { value: 10 })
})

t.test('answers to English between others have a rate of their own, and none of the bar', async t => {
  const quiet = ['foreign', 'overheard', 'babble', 'silence'].map((kind, i) => ({ wav: kind, kind, hours: 0.25, replies: i < 1 ? 0 : 4 - i, spoken: 0, text: '' }))
  t.match(get({ quiet }, 'noise'), { value: 2, n: 0.5, bar: { most: 2 } })
  t.match(get({ quiet }, 'noise.english'), { value: 10, n: 0.5, bar: undefined })
  t.match(get({ quiet }, 'noise.all'), { value: 6, n: 1 })
})

t.test('a tone of voice, or a wish in words, is answered in the style that it asks for, or not; each has its share', async t => {
  const tone = (tone: string, wants: string, style: string): Results['tones'][number] => ({ item: { wav: 'a', tone, wants, voice: '', said: '', facts: [] }, style, text: '', pace: undefined, sounds: undefined })
  const tones = [tone('whispered', 'whisper', 'whisper'), tone('whispered', 'whisper', 'neutral'), tone('shouted', 'calm', 'calm')]
  t.match(get({ tones }, 'tone.whispered'), { value: 50, n: 2, title: 'whispered to, it answers whisper' })
  t.match(get({ tones }, 'tone.shouted'), { value: 100, n: 1 })
  const asked = [tone('asked', 'sing', 'sing'), tone('asked', 'laugh', 'neutral'), tone('asked', 'sing', 'neutral')]
  t.match(get({ tones: asked }, 'tone.asked.sing'), { value: 50, n: 2, title: 'asked in words for the style sing, it answers in it' })
  t.match(get({ tones: asked }, 'tone.asked.laugh'), { value: 0, n: 1 })
})

t.test('how a style sounds is the median of its replies, and is not told of two', async t => {
  const reply = (style: string, pitch: number | undefined, level: number, pace = 12): ReturnType<typeof resultOf> => resultOf({ style, pace, sounds: { pitch, voiced: pitch ? 0.8 : 0, level } })
  const cases = [reply('whisper', undefined, -40), reply('whisper', undefined, -39, 10), reply('whisper', undefined, -38, 9), reply('calm', 90, -30), reply('calm', 91, -30)]
  t.match(get({ cases }, 'style.whisper.voiced'), { value: 0, n: 3 })
  t.match(get({ cases }, 'style.whisper.level'), { value: -39, unit: 'dB' })
  t.match(get({ cases }, 'style.whisper.pace'), { value: 10, unit: 'letters/s' })
  t.equal(get({ cases }, 'style.whisper.pitch')?.value, undefined, 'a whisper has no pitch')
  t.equal(get({ cases }, 'style.calm.pitch'), undefined)
})

t.test('words heard wrong are counted over all words of a set, and of real people', async t => {
  const cases = [resultOf({ hearing: { errors: 1, words: 2 } }), resultOf({ hearing: { errors: 0, words: 6 } })]
  t.match(get({ cases }, 'heard.voices'), { value: 12.5, n: 8, of: 'words' })
  const people = [{ item: { wav: 'a', said: 'front left', from: 'x', calls: [] }, heard: 'front', hearing: { errors: 1, words: 2 }, text: '', calls: [], callsRight: true }]
  t.match(get({ people }, 'heard.people'), { value: 50, n: 2 })
  t.match(get({ readers: people }, 'heard.readers'), { value: 50, n: 2 })
  t.match(get({ people }, 'people.spoke'), { value: 0, n: 1 })
  t.equal(get({}, 'people.spoke'), undefined)
})

t.test('the host has what the graph does not', async t => {
  t.equal(Math.round(get({ times: { steps: [4, 6], graphMs: 9 } }, 'host')?.value ?? 0), 10)
  t.match(get({ times: { steps: [4, 6], graphMs: 9 } }, 'step.p95'), { value: 6, bar: { most: 8 } })
})

t.test('without any results nothing is measured and nothing is met', async t => {
  t.same(figuresOf(none).filter(f => verdictOf(f) === 'met' || f.value !== undefined), [])
})

t.test('a bar is met at the bar', async t => {
  t.equal(verdictOf({ value: 95, bar: { least: 95 }, n: 9 }), 'met')
  t.equal(verdictOf({ value: 94.9, bar: { least: 95 }, n: 9 }), 'missed')
  t.equal(verdictOf({ value: 2, bar: { most: 2 }, n: 9 }), 'met')
})

t.test('too little sound can miss a bar, not meet it', async t => {
  t.equal(verdictOf({ value: 0, bar: { most: 2 }, n: 0.5, needs: 1 }), 'not enough')
  t.equal(verdictOf({ value: 4, bar: { most: 2 }, n: 0.5, needs: 1 }), 'missed')
})

t.test('what is lost is what got worse, whichever way is up', async t => {
  t.equal(lossAgainst(figureOf({ value: 90 }), { value: 92 }), 2)
  t.equal(lossAgainst(figureOf({ value: 4, bar: { most: 2 } }), { value: 1 }), 3)
  t.equal(lossAgainst(figureOf({ value: 4, bar: { most: 2 } }), undefined), undefined)
})

t.test('the loss of int8 is that of the worst accuracy', async t => {
  const figures = [figureOf({ key: 'a', value: 95 }), figureOf({ key: 'b', value: 3, bar: { most: 2 } }), figureOf({ key: 'c', value: 0, accuracy: false })]
  const base = [{ key: 'a', value: 94 }, { key: 'b', value: 1 }, { key: 'c', value: 100 }]
  t.match(lossFigure(figures, base, 'fp32'), { value: 2, n: 2, bar: { most: 1.5 } })
})
