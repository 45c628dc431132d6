import { readFile } from 'node:fs/promises'
import t from 'tap'
import { ParleyError } from '../../base/errors.js'
import { parseManifest } from '../../models/bundle/index.js'
import { Random } from '../../models/engine/random.js'
import { stepSpecOf } from '../../models/engine/step-spec.js'
import { SHAPES } from './shapes.js'

const example = JSON.parse(await readFile(new URL('../../../docs/bundle-example.json', import.meta.url), 'utf8')) as unknown
const STRANGE: readonly unknown[] = [null, true, -1, 0, 1e308, 1.5, '', '../../x', '/etc/passwd', 'x'.repeat(10_000), [], {}, [[[[]]]], { constructor: 1 }, '__proto__', 'constructor', '\u0000', '☃', 2 ** 53, [1, 'grow', -1]]

/** Every place in a tree, as the holder and the key. */
function places(tree: unknown, found: [Record<string, unknown>, string][] = []): [Record<string, unknown>, string][] {
  if (typeof tree !== 'object' || tree === null) return found
  for (const key of Object.keys(tree)) {
    found.push([tree as Record<string, unknown>, key])
    places((tree as Record<string, unknown>)[key], found)
  }
  return found
}

t.test('a spoilt manifest is accepted or refused with a ParleyError, never anything else', async t => {
  const random = new Random(99)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T
  const texts = [example, ...SHAPES].map(m => JSON.stringify(m))
  let refused = 0
  for (let n = 0; n < 3_000; n++) {
    let text = texts[n % texts.length] as string
    if (n % 10 === 9) {
      const at = Math.floor(random.next() * text.length)
      text = text.slice(0, at) + pick(['', '"', '{', '}', ',', '\\', '0']) + text.slice(at + 1)
    } else {
      const tree = JSON.parse(text) as unknown
      for (let k = 0; k <= n % 3; k++) {
        const all = places(tree)
        const [holder, key] = pick(all)
        const what = random.next()
        if (what < 0.25) delete holder[key]
        else if (what < 0.35) Object.defineProperty(holder, String(pick(STRANGE)), { value: holder[key], enumerable: true, configurable: true, writable: true })
        else if (what < 0.5) holder[key] = structuredClone(pick(all)[0])
        else holder[key] = pick(STRANGE)
      }
      text = JSON.stringify(tree)
    }
    try {
      const manifest = parseManifest(text)
      stepSpecOf({ folder: '/b', manifest, path: file => `/b/${file}` })
    } catch (error) {
      refused++
      if (!(error instanceof ParleyError)) t.fail(`threw ${(error as Error).stack} for ${text.slice(0, 300)}`)
    }
  }
  t.ok(refused > 1_500, `${refused} of 3000 were refused`)
})
