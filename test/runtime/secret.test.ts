import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readSecret } from '../../base/secret.js'

const folder = await mkdtemp(join(tmpdir(), 'parley-secret-'))
const path = join(folder, 'key')
await writeFile(path, 'hunter2', { mode: 0o600 })
t.teardown(() => rm(folder, { recursive: true }))
t.afterEach(() => { delete process.env['CREDENTIALS_DIRECTORY'] })

t.test('a secret that others can read is not used', async t => {
  await chmod(path, 0o644)
  await t.rejects(readSecret(path), { code: 'secret-readable', hint: /chmod 600/ })
  await chmod(path, 0o600)
  t.equal(String(await readSecret(path)), 'hunter2')
})

t.test('a credential from systemd is used with the mode that systemd gives it, a file beside that folder is not', async t => {
  await chmod(path, 0o440)
  process.env['CREDENTIALS_DIRECTORY'] = folder
  t.equal(String(await readSecret(path)), 'hunter2')
  process.env['CREDENTIALS_DIRECTORY'] = folder.slice(0, -1)
  await t.rejects(readSecret(path), { code: 'secret-readable' })
})
