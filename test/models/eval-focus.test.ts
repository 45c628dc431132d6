import { readFile } from 'node:fs/promises'
import t from 'tap'
import { FOCUS } from '../../models/eval/focus.js'

t.test('the focus intents are those of the training', async t => {
  const source = await readFile(new URL('../../../models/train/parley_train/teach.py', import.meta.url), 'utf8')
  const [, list = ''] = /^FOCUS = \{([^}]*)\}/m.exec(source) ?? []
  t.same([...FOCUS].sort(), [...list.matchAll(/"([^"]+)"/g)].map(m => m[1]).sort())
})
