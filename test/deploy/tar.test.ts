import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { untar } from '../../deploy/tar/read.js'
import { tar, walk, type TarEntry } from '../../deploy/tar/write.js'

async function bytesOf(entries: Iterable<TarEntry> | AsyncIterable<TarEntry>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of tar(entries)) parts.push(chunk)
  return Buffer.concat(parts)
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Buffer, size = 100): Promise<Record<string, string>> {
  const out: Record<string, string> = {}
  for await (const item of untar(inPieces(bytes, size))) {
    if (item.kind === 'link') out[item.name] = `-> ${item.target}`
    if (item.kind === 'folder') out[item.name] = '/'
    if (item.kind !== 'file') continue
    const parts: Buffer[] = []
    for await (const chunk of item.content()) parts.push(Buffer.from(chunk))
    out[item.name] = `${item.executable ? 'x ' : ''}${Buffer.concat(parts).toString()}`
  }
  return out
}

async function tree(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-tar-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const deep = join(folder, 'a'.repeat(60), 'b'.repeat(60))
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, 'ü.txt'), 'deep')
  await writeFile(join(folder, 'run.sh'), '#!/bin/sh\n')
  await chmod(join(folder, 'run.sh'), 0o700)
  await writeFile(join(folder, 'empty'), '')
  await symlink('run.sh', join(folder, 'link'))
  return folder
}

t.test('an archive is the same whatever the times, the modes and the order were', async t => {
  const [a, b] = [await tree(t), await tree(t)]
  await utimes(join(b, 'empty'), 1, 1)
  await chmod(join(b, 'empty'), 0o600)
  t.ok((await bytesOf(walk(a))).equals(await bytesOf(walk(b))))
})

t.test('what was packed is unpacked: long names, links, empty files, the executable bit', async t => {
  const bytes = await bytesOf(walk(await tree(t)))
  for (const size of [1, 511, 512, 100_000]) {
    const found = await read(bytes, size)
    t.equal(found['run.sh'], 'x #!/bin/sh\n')
    t.equal(found['link'], '-> run.sh')
    t.equal(found['empty'], '')
    t.equal(found[`${'a'.repeat(60)}/${'b'.repeat(60)}/ü.txt`], 'deep')
  }
})

t.test('GNU tar reads it', async t => {
  const folder = await tree(t)
  const file = join(folder, '..', `${folder.split('/').pop()}.tar`)
  t.teardown(() => rm(file, { force: true }))
  await writeFile(file, await bytesOf(walk(folder)))
  const listed = execFileSync('tar', ['-tvf', file], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  t.match(listed, /run\.sh/)
  t.match(listed, new RegExp(`${'a'.repeat(60)}/${'b'.repeat(60)}/`))
  t.ok((await readFile(file)).length % 512 === 0)
})

const file = (name: string): TarEntry => ({ name, kind: 'file', content: Buffer.from('x') })
for (const [what, entries] of [
  ['a name that climbs out', [file('../x')]],
  ['an absolute name', [file('/etc/passwd')]],
  ['a link that leads out', [{ name: 'l', kind: 'link', target: '../../etc' } as TarEntry]],
  ['an absolute link', [{ name: 'l', kind: 'link', target: '/etc' } as TarEntry]],
  ['a file below a link', [{ name: 'l', kind: 'link', target: 'd' } as TarEntry, file('l/x')]],
  ['a name that comes twice', [file('a'), file('a')]],
] as const) {
  t.test(`${what} is refused`, async t => {
    await t.rejects(read(await bytesOf(entries)), { code: 'update-tar' })
  })
}

t.test('a damaged or a short archive is refused', async t => {
  const bytes = await bytesOf([file('a')])
  const damaged = Buffer.from(bytes)
  damaged[3] = 9
  await t.rejects(read(damaged), { code: 'update-tar' })
  await t.rejects(read(bytes.subarray(0, 600)), { code: 'update-tar' })
})
