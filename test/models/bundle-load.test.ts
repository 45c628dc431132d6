import { appendFile, mkdir, rename, rm, stat, symlink, utimes, writeFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ParleyError, describe } from '../../base/errors.js'
import { loadBundle } from '../../models/bundle/index.js'
import { tinyBundle } from './tiny-bundle.js'

const refusal = async (folder: string, options: object = {}): Promise<string> => {
  const error = await loadBundle(folder, { cacheFolder: join(folder, '.cache'), ...options }).then(() => undefined, (e: unknown) => e)
  if (!(error instanceof ParleyError)) return `not refused with a ParleyError: ${String(error)}`
  return `${error.code} ${describe(error)}`
}

t.test('a good bundle loads, with absolute paths', async t => {
  await using bundle = await tinyBundle()
  const loaded = await loadBundle(bundle.folder, { cacheFolder: bundle.folder })
  t.equal(loaded.manifest.name, 'tiny')
  t.ok((await stat(loaded.path('step.onnx'))).isFile())
})

t.test('bad bundles are refused with the file, the field and the reason', async t => {
  await using bundle = await tinyBundle()
  const { folder } = bundle
  const manifest = JSON.stringify(bundle.manifest)
  const withManifest = async (change: (m: any) => void): Promise<string> => {
    const m = JSON.parse(manifest)
    change(m)
    await writeFile(join(folder, 'bundle.json'), JSON.stringify(m))
    const reason = await refusal(folder)
    await writeFile(join(folder, 'bundle.json'), manifest)
    return reason
  }
  t.match(await refusal('/nowhere/at/all'), /bundle-missing there is no bundle at \/nowhere/)
  t.match(await withManifest(m => { m.files['../../etc/passwd'] = m.files['step.onnx'] }), /bundle-bad .*bundle\.json: files.*passwd: expected a relative path inside the bundle/)
  t.match(await withManifest(m => { m.files['/etc/passwd'] = m.files['step.onnx'] }), /bundle-bad .*files/)
  t.match(await withManifest(m => { m.golden.wav = 'a/../../x.wav' }), /bundle-bad .*golden\.wav: expected a relative path inside the bundle/)
  t.match(await withManifest(m => { m.files['step.onnx'].bytes = 3 }), /bundle-changed .*step\.onnx: files\.step\.onnx\.bytes: expected 3, found \d+/)
  t.match(await withManifest(m => { m.files['step.onnx'].sha256 = 'f'.repeat(64) }), /bundle-changed .*step\.onnx.*sha256: expected ffff/)
  t.match(await withManifest(m => { m.files['gone.onnx'] = m.files['step.onnx'] }), /bundle-bad .*gone\.onnx.*the file is missing/)
  t.match(await withManifest(m => { m.files['golden.wav'].bytes = 2 ** 30 }), /files\.golden\.wav\.bytes: at most/)
  t.match(await withManifest(m => { m.schema = 2 }), /bundle\.json: schema:/)
  t.match(await withManifest(m => { m.surprise = 1 }), /Unrecognized key.*surprise/)
  await writeFile(join(folder, 'bundle.json'), '{')
  t.match(await refusal(folder), /bundle-bad .*is not JSON/)
  await writeFile(join(folder, 'bundle.json'), ' '.repeat(5 * 2 ** 20))
  t.match(await refusal(folder), /bundle-bad .*at most/)
  await rm(join(folder, 'bundle.json'))
  t.match(await refusal(folder), /bundle-missing cannot read/)
})

t.test('a link out of the bundle is refused, one inside it is not', async t => {
  await using bundle = await tinyBundle()
  const file = join(bundle.folder, 'step.onnx')
  await mkdir(join(bundle.folder, 'real'))
  await rename(file, join(bundle.folder, 'real', 'step.onnx'))
  await symlink('real/step.onnx', file)
  t.equal((await loadBundle(bundle.folder, { cacheFolder: bundle.folder })).manifest.name, 'tiny')
  await using other = await tinyBundle()
  await rm(file)
  await symlink(join(other.folder, 'step.onnx'), file)
  t.match(await refusal(bundle.folder), /bundle-bad .*it leads out of the bundle/)
  await rm(file)
  await mkdir(file)
  t.match(await refusal(bundle.folder), /it is not a file/)
})

t.test('a file that changed is found, also when its size and date are as before', async t => {
  await using bundle = await tinyBundle()
  const cacheFolder = join(bundle.folder, '.cache')
  await loadBundle(bundle.folder, { cacheFolder })
  const file = join(bundle.folder, 'tokenizer.json')
  const before = await stat(file)
  const bytes = await readFile(file)
  bytes[bytes.length - 2] = (bytes[bytes.length - 2] as number) ^ 1
  await writeFile(file, bytes)
  await utimes(file, before.atime, before.mtime)
  t.match(await refusal(bundle.folder), /bundle-changed .*sha256/)
  await appendFile(file, ' ')
  t.match(await refusal(bundle.folder), /bundle-changed .*bytes/)
})

t.test('a second load trusts the hashes it knows; full reads every byte', async t => {
  await using bundle = await tinyBundle()
  const cacheFolder = join(bundle.folder, '.cache')
  await loadBundle(bundle.folder, { cacheFolder })
  // a lie in the cache shows who reads it
  const cache = join(cacheFolder, 'hashes.json')
  const lies = (await readFile(cache, 'utf8')).replaceAll(/"[0-9a-f]{64}"/g, `"${'e'.repeat(64)}"`)
  await writeFile(cache, lies)
  t.match(await refusal(bundle.folder), /found eeee/)
  t.equal((await loadBundle(bundle.folder, { cacheFolder, verify: 'full' })).manifest.name, 'tiny')
  t.equal((await loadBundle(bundle.folder, { cacheFolder })).manifest.name, 'tiny', 'and the truth was kept')
  await writeFile(cache, 'spoilt')
  t.equal((await loadBundle(bundle.folder, { cacheFolder })).manifest.name, 'tiny')
})

t.test('a cache that cannot be written costs nothing but time', async t => {
  await using bundle = await tinyBundle()
  t.equal((await loadBundle(bundle.folder, { cacheFolder: join(bundle.folder, 'step.onnx', 'x') })).manifest.name, 'tiny')
})
