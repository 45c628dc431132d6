import t from 'tap'
import { Case, QuietCase, parseLines } from '../../models/eval/cases.js'
import { parseWordErrors } from '../../models/eval/speech-errors.js'
import { caseOf } from './eval-kit.js'

t.test('cases are read line by line; fields that nobody needs here are dropped', async t => {
  t.same(parseLines(`${JSON.stringify({ ...caseOf(), more: 1 })}\n\n`, Case, 'cases.jsonl'), [caseOf()])
})

t.test('a line that is no case is named', async t => {
  t.throws(() => parseLines(`${JSON.stringify(caseOf())}\n{"wav": "1.wav"}`, Case, 'cases.jsonl'), { code: 'eval-cases', message: /cases\.jsonl: line 2/ })
  t.throws(() => parseLines('{', Case, 'cases.jsonl'), { code: 'eval-cases', message: /line 1 is not JSON/ })
})

t.test('a case leads to no file outside its folder', async t => {
  t.throws(() => parseLines('{"wav": "../a.wav", "kind": "hum"}', QuietCase, 'quiet.jsonl'), { code: 'eval-cases' })
})

t.test('the word errors stand in the last line of the judge', async t => {
  t.same(parseWordErrors('want: a | heard: b\nWER 4.2 % of 812 words\n'), { percent: 4.2, words: 812 })
  t.equal(parseWordErrors('WER 0.0 % of 0 words\n'), undefined, 'no words were judged')
  t.equal(parseWordErrors(''), undefined)
})
