import t from 'tap'
import { parseOptions } from '../../models/eval/options.js'

t.test('without options, the held-out cases of the work folder and the shipped bundle', async t => {
  t.match(parseOptions([], { PARLEY_WORK: '/w' }), { cases: '/w/heldout', bundle: /models\/pico$/, focus: false })
})

t.test('what it does not know is wrong use', async t => {
  for (const args of [['--cards', 'x'], ['x'], ['--limit', '0'], ['--limit', 'few'], ['--python', 'python3']]) t.throws(() => parseOptions(args), { code: 'eval-usage' }, args.join(' '))
})
