import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkFiles } from '../../runtime/config/files.js'
import { configSchema } from '../../runtime/config/schema.js'
import { Authority } from '../rig/authority.js'

t.test('a missing, unreadable, empty or damaged authority of the update server is told', async t => {
  const root = t.testdir()
  const path = join(root, 'ca.pem')
  const complaints = async (): Promise<string> => (await checkFiles(configSchema.parse({ update: { ca: '/ca.pem' } }), root)).map(w => `${w.key} = ${w.value}: expected ${w.expected}`).join('\n')
  t.match(await complaints(), /^update\.ca = "\/ca\.pem": expected a file with certificates in PEM \(there is no /)
  await writeFile(path, 'not a certificate\n')
  t.match(await complaints(), /has no certificate/)
  await using authority = await Authority.create()
  const good = await readFile(authority.ca, 'utf8')
  await writeFile(path, good + good)
  t.equal(await complaints(), '')
  await writeFile(path, good + good.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'))
  t.match(await complaints(), /certificate 2 of 2 .* is damaged/)
  await mkdir(join(root, 'folder'))
  t.match((await checkFiles(configSchema.parse({ update: { ca: '/folder' } }), root))[0]?.expected, /cannot be read/)
  t.same(await checkFiles(configSchema.parse({}), root), [])
})

t.test('a relative path is refused: the updater runs in a folder of its own', async t => {
  t.notOk(configSchema.safeParse({ update: { ca: 'ca.pem' } }).success)
})
