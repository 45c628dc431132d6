import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cardText, replaceFigures, writeCard } from '../../models/eval/card.js'
import { figureOf, reportOf } from './eval-kit.js'

const BLOCK = '<!-- figures -->\nold\n<!-- /figures -->'

t.test('only what stands between the marks is replaced', async t => {
  t.equal(replaceFigures(`# pico\n\n${BLOCK}\n\nLimits.\n`, 'new $& $1'), '# pico\n\n<!-- figures -->\nnew $& $1\n<!-- /figures -->\n\nLimits.\n')
})

t.test('a card without marks gets them at its end', async t => {
  t.equal(replaceFigures('# pico\n', 'new'), '# pico\n\n<!-- figures -->\nnew\n<!-- /figures -->\n')
})

t.test('marks that do not pair are refused', async t => {
  for (const card of ['<!-- figures -->', '<!-- /figures --> <!-- figures -->', `${BLOCK}${BLOCK}`]) t.throws(() => replaceFigures(card, 'new'), { code: 'eval-card' }, card)
})

t.test('a card is written whole, twice the same', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-card-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'CARD.md')
  await writeCard(path, 'one')
  const first = await readFile(path, 'utf8')
  await writeCard(path, 'one')
  t.equal(await readFile(path, 'utf8'), first)
  t.same(await readdir(folder), ['CARD.md'], 'no file is left beside it')
})

t.test('the table says when, of what, and how sure', async t => {
  const text = cardText(reportOf([figureOf()]))
  t.match(text, /2030-01-02/)
  t.match(text, /`0123456789abcdef`/)
  t.match(text, '| tool call exact | ≥ 95 % | 96.0 % (90.0–98.0) | 100 cases | met |')
  t.match(text, 'No bar is missed.')
})

t.test('a miss is said, and by how much', async t => {
  const text = cardText(reportOf([figureOf({ value: 91.5 }), figureOf({ title: 'onset', unit: 'ms', value: 700, bar: { most: 600 } })]))
  t.match(text, '**missed by 3.50 points**')
  t.match(text, '**missed by 100 ms**')
  t.match(text, 'Missed: tool call exact; onset.')
})

t.test('what was not measured is not met', async t => {
  const text = cardText(reportOf([figureOf({ value: undefined })]))
  t.match(text, /not measured \|$/m)
  t.match(text, 'No measured bar is missed. Not measured, or not enough: tool call exact.')
  t.notMatch(text, '| met |')
})

t.test('too little to meet a bar is said', async t => {
  t.match(cardText(reportOf([figureOf({ unit: 'an hour', of: 'hours', value: 0, n: 0.15, bar: { most: 2 }, needs: 1 })])), '| not enough: 0.15 of 1 hours |')
})

t.test('times of a busy machine are called so', async t => {
  t.match(cardText({ ...reportOf([figureOf()]), machine: { cpu: 'a CPU', cores: 2, load: 5 } }), /The machine was busy/)
})

t.test('a part of the cases judges no bar', async t => {
  const text = cardText(reportOf([figureOf({ value: 10 })], 'Only the first 3 of 300 cases were run'))
  t.match(text, '**Only the first 3 of 300 cases were run: the bars are not judged.**')
  t.match(text, '| not judged |')
  t.notMatch(text, 'met')
})

t.test('another precision stands beside it, with the difference', async t => {
  const base = { bundle: { precision: 'fp32', sha256: 'f' }, cases: { sha256: 'c', n: 100 }, figures: [{ key: 'calls.voices', value: 97.2 }] }
  const text = cardText(reportOf([figureOf(), figureOf({ key: 'new' })]), base)
  t.match(text, '| n | fp32 | difference |')
  t.match(text, '| 97.2 % | −1.20 | met |')
  t.match(text, '| – | – | met |')
})
