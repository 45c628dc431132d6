import t from 'tap'
import { openInProcess } from '../../models/engine/index.js'
import { tick, tinyBundle } from './tiny-bundle.js'

const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())

async function words(lines: readonly string[], ticks: number, at: Readonly<Record<number, string>> = {}): Promise<{ texts: string[]; marks: string[] }> {
  const session = await openInProcess(bundle.folder)
  for (const line of lines) session.tell(line, 'say')
  let text = ''
  const [texts, marks]: [string[], string[]] = [[], []]
  for (let n = 0; n < ticks; n++) {
    const said = await session.step(tick(n * 80, { say: at[n] ?? '' }))
    text += said.text
    if (said.mark) marks.push(said.mark)
    if (said.mark === 'end' || said.mark === 'cut') texts.push(text.trim())
    if (said.mark === 'end' || said.mark === 'cut') text = ''
  }
  await session[Symbol.asyncDispose]()
  // the tiny graph sounds once more a tick after an end: a reply without words
  return { texts: texts.filter(Boolean), marks }
}

t.test('words to be said come as they are, each line a reply of its own', async t => {
  t.same((await words(['Gift SHOP right', 'muffin'], 90)).texts, ['gift shop right', 'muffin'])
})

t.test('a person who speaks over them ends them', async t => {
  const { texts, marks } = await words(['gift shop right around'], 80, { 14: '<cut>' })
  t.same(marks.slice(0, 2), ['begin', 'cut'])
  t.match(texts[0], /^gift/)
  t.notMatch(texts[0], /around/)
})

t.test('they wait for the end of a reply that the model has begun', async t => {
  const session = await openInProcess(bundle.folder)
  const heard: string[] = []
  for (let n = 0; n < 60; n++) {
    if (n === 3) session.tell('muffin', 'say')
    heard.push((await session.step(tick(n * 80, n === 1 ? { say: '<style:calm>' } : {}))).text)
  }
  t.equal(heard.join('').trim(), 'hello there muffin')
  await session[Symbol.asyncDispose]()
})
