import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PACKAGE } from '../../runtime/cli/paths.js'

/** The last line of `.ci/run` where `npm test` says `words` and ends with `code`; nothing else of the machine is touched. */
function lastLine(t: Test, words: string, code: number): { line: string; status: number | null } {
  const root = mkdtempSync(join(tmpdir(), 'parley-ci-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const bin = join(root, 'bin')
  mkdirSync(bin)
  cpSync(join(PACKAGE, '.ci/run'), join(root, '.ci/run'))
  for (const tool of ['rm', 'mktemp', 'tee', 'grep', 'tail', 'dirname', 'cat']) symlinkSync(`/bin/${tool}`, join(bin, tool))
  const stubs: Record<string, string> = { npm: `[ "$1" = test ] || exit 0\nprintf '%s\\n' '${words}'\nexit ${code}`, timeout: 'exit 1', debootstrap: '', 'systemd-nspawn': '' }
  for (const [name, body] of Object.entries(stubs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const run = spawnSync('/bin/bash', [join(root, '.ci/run')], { encoding: 'utf8', env: { PATH: bin, HOME: root } })
  return { line: run.stdout.trim().split('\n').at(-1) ?? '', status: run.status }
}

t.test('a set-up that fails before the tests is told as one failure', async t => {
  t.same(lastLine(t, 'npm ci failed', 4), { line: '0 passed, 1 failed, 0 skipped', status: 4 })
})

for (const [tap, status] of [['ok 1 - it boots', 0], ['ok 1 - it boots # SKIP there are no namespaces', 1]] as const) {
  t.test(`the boot tests, run elsewhere, end with ${status} where the record says "${tap}"`, async t => {
    const root = mkdtempSync(join(tmpdir(), 'parley-elsewhere-'))
    t.teardown(() => rmSync(root, { recursive: true }))
    for (const folder of ['bin', 'deploy/boot-test', '.parley']) mkdirSync(join(root, folder), { recursive: true })
    cpSync(join(PACKAGE, 'deploy/boot-test/run.sh'), join(root, 'deploy/boot-test/run.sh'))
    writeFileSync(join(root, 'deploy/boot-test/make-root.sh'), '')
    for (const [name, body] of Object.entries({ npm: `echo "$@" screen=$PARLEY_BOOT_SCREEN >asked; echo '${tap}' >.parley/test.tap`, id: 'echo 0' })) writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    const run = spawnSync('sh', [join(root, 'deploy/boot-test/run.sh')], { encoding: 'utf8', env: { PATH: `${root}/bin:${process.env['PATH']}` } })
    t.equal(run.status, status, run.stderr)
    t.match(readFileSync(join(root, 'asked'), 'utf8'), /^test -- real-systemd booted-sound booted-screen booted-update clean-debian talking-debian udev screen=1$/m)
  })
}

t.test('the figures of the tests are the last line', async t => {
  t.same(lastLine(t, '12 passed, 1 failed, 2 skipped', 1), { line: '12 passed, 1 failed, 2 skipped', status: 1 })
})
