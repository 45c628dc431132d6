import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ParleyError } from '../../base/errors.js'
import { onTrial } from '../../deploy/update/journal.js'
import { Layout } from '../../deploy/update/layout.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { BundleChoice } from '../../runtime/compose/bundle-choice.js'
import { openBundle } from '../../runtime/compose/open-bundle.js'
import { DeviceAndVendor } from '../deploy/device.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { silent } from '../telemetry/kit.js'

/** A device with the real updater, whose owner has chosen the bundle `owner`. What it opens is only noted. */
async function device(t: Test) {
  const d = await DeviceAndVendor.make(t, '[update]\nquietMinutes = 0\nreserveMegabytes = 0\n')
  await writeFile(join(d.root, 'etc/parley/parley.toml'), `[update]\nquietMinutes = 0\nreserveMegabytes = 0\nfrom = "${d.vendor.path('')}"\n`)
  const layout = new Layout(d.root)
  const shipped = join(layout.current, 'bundle')
  await using bundle = await tinyBundle()
  await cp(bundle.folder, join(d.root, 'bundles/owner'), { recursive: true })
  await mkdir(join(d.root, 'state'))
  const bundles = new BundleChoice(join(d.root, 'bundles'), join(d.root, 'state'))
  await bundles.use('owner')
  const seen: string[] = []
  let mute: readonly string[] = []
  const open = async (folder: string) => {
    const name = folder === shipped ? 'shipped' : folder.split('/').at(-1) ?? ''
    seen.push(name)
    if (mute.includes(name)) throw new ParleyError('golden-failed', `${name} did not answer`)
    return { [Symbol.asyncDispose]: async () => void seen.push(`${name} is closed`) }
  }
  const start = (own = shipped) => openBundle({ shipped, own, bundles, onTrial: () => onTrial(realDisk, layout), open, log: silent })
  // As `parley run`: a golden utterance that failed is what its status says.
  d.starts = async () => start().then(() => true, () => false)
  return { d, layout, shipped, bundles, seen, start, spoil: (...names: string[]) => void (mute = names) }
}

t.test('a release on trial opens its own bundle, closes it, and then opens the owner\'s to talk with', async t => {
  const { d, seen } = await device(t)
  const next = await d.publish(2)
  await d.update()
  t.equal(await d.current(), next, d.lines.join('\n'))
  t.same(seen, ['shipped', 'shipped is closed', 'owner'])
})

t.test('a release whose own bundle does not answer is not committed though the owner\'s does, and the owner keeps his choice', async t => {
  const { d, layout, bundles, seen, start, spoil } = await device(t)
  spoil('shipped')
  await d.publish(2)
  await d.update()
  t.equal(await d.current(), d.first)
  t.match(d.lines.join('\n'), /golden utterance/)
  t.equal(await bundles.chosen(), 'owner')
  t.notOk(await realDisk.stat(layout.trial), 'it is over')
  seen.length = 0
  await start()
  t.same(seen, ['owner'], 'the release before talks with the owner\'s bundle again')
})

t.test('without a trial the owner\'s bundle alone is opened', async t => {
  const { seen, start } = await device(t)
  await start()
  t.same(seen, ['owner'])
})

t.test('on trial, a bundle of the configuration is the owner\'s too; a release that ships none has none to prove', async t => {
  const { d, layout, shipped, bundles, seen, start } = await device(t)
  await bundles.putBack(undefined)
  await writeFile(layout.trial, `release=${await d.current()} previous=${'b'.repeat(64)}\n`)
  await start('/srv/configured')
  t.same(seen, ['configured'])
  await mkdir(shipped)
  await start('/srv/configured')
  t.same(seen, ['configured', 'shipped', 'shipped is closed', 'configured'])
})

t.test('on trial without a bundle of the owner\'s the release\'s own is opened once', async t => {
  const { d, layout, bundles, seen, start } = await device(t)
  await bundles.putBack(undefined)
  await writeFile(layout.trial, `release=${await d.current()} previous=${'b'.repeat(64)}\n`)
  await start()
  t.same(seen, ['shipped'])
})

t.test('a trial file that cannot be read counts as a trial; one of a release that does not run does not', async t => {
  const { d, layout } = await device(t)
  const says = async (text: string): Promise<boolean> => {
    await writeFile(layout.trial, text)
    return onTrial(realDisk, layout)
  }
  t.equal(await says(`release=${await d.current()} previous=${'b'.repeat(64)}\n`), true)
  t.equal(await says('\0\0\0\0'), true, 'torn')
  t.equal(await says(''), true, 'empty')
  t.equal(await says(`release=${'c'.repeat(64)} previous=${'b'.repeat(64)}\n`), false, 'cut before the switch: the old release runs')
  await realDisk.remove(layout.trial)
  t.equal(await onTrial(realDisk, layout), false, 'none')
  await mkdir(layout.trial)
  t.equal(await onTrial(realDisk, layout), true, 'what is no file')
})
