import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

const FOLDER = new URL('../../../systemd/', import.meta.url).pathname
const SCRIPTS = new URL('../../../deploy/', import.meta.url).pathname
const units = readdirSync(FOLDER).filter(n => /\.(service|timer|path|target)$/.test(n))
const text = (name: string): string => readFileSync(join(FOLDER, name), 'utf8')
const has = spawnSync('systemd-analyze', ['--version']).status === 0
const skip = has ? false : 'systemd-analyze is missing here (apt-get install systemd)'
const LIMIT = 2.0
/** The figures of the README are of this version; others weigh some lines differently. */
const README_VERSION = '252'
const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')

for (const unit of units.filter(u => u.endsWith('.service'))) {
  t.test(`the exposure of ${unit} is at most ${LIMIT}`, { skip }, async t => {
    const out = execFileSync('systemd-analyze', ['security', '--offline=true', join(FOLDER, unit)], { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0' }, stdio: ['ignore', 'pipe', 'ignore'] })
    const figure = Number(/exposure level for .*: ([\d.]+)/.exec(out)?.[1])
    t.comment(`${unit}: ${figure}`)
    t.ok(figure <= LIMIT, `${figure}`)
    if (!execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }).startsWith(`systemd ${README_VERSION} `)) return
    t.match(readme.replace(/\s+/g, ' '), `\`${unit.slice(0, -'.service'.length)}\` ${figure.toFixed(1)}`, 'as the README says')
  })
}

t.test('systemd knows every line of every unit', { skip }, async t => {
  // `verify` wants the programs to exist, so in a root of its own they do.
  const root = mkdtempSync(join(tmpdir(), 'parley-units-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  for (const program of new Set(units.flatMap(u => [...text(u).matchAll(/^Exec\w+=[+-]*(\/\S+)/gm)].map(m => m[1] as string)))) {
    mkdirSync(join(root, program, '..'), { recursive: true })
    writeFileSync(join(root, program), '#!/bin/sh\n', { mode: 0o755 })
  }
  mkdirSync(join(root, 'etc/systemd/system'), { recursive: true })
  for (const unit of units) cpSync(join(FOLDER, unit), join(root, 'etc/systemd/system', unit))
  for (const [unit, file] of [['parley', 'voice'], ['parley-fallback', 'fallback']]) cpSync(join(FOLDER, `pulse/${file}.conf`), join(root, `etc/systemd/system/${unit}.service.d/sound.conf`))
  const { stderr } = spawnSync('systemd-analyze', [`--root=${root}`, '--man=no', 'verify', ...units.map(u => join(root, 'etc/systemd/system', u))], { encoding: 'utf8' })
  const ours = stderr.split('\n').filter(line => /parley/.test(line) && !/file:\/\/|Failed to (prepare|open)|not found/i.test(line))
  t.same(ours, [])
})

t.test('the voice is watched, restarted, and replaced by the fallback after five failures', async t => {
  const voice = text('parley.service')
  for (const line of ['Type=notify', 'WatchdogSec=20', 'Restart=on-failure', 'StartLimitBurst=5', 'OnFailure=parley-fallback.service']) t.match(voice, line)
  const seconds = (key: string): number => Number(new RegExp(`^${key}=(\\d+)$`, 'm').exec(voice)?.[1])
  t.ok(5 * (seconds('TimeoutStartSec') + seconds('RestartSec')) < seconds('StartLimitIntervalSec'), 'also starts that take all of their time are five in the interval')
})

t.test('the boot guard runs before each start and outside of every release', async t => {
  t.match(text('parley.service'), /ExecStartPre=\+\/opt\/parley\/guard\/boot-guard\.sh/)
  t.notMatch(text('parley.service'), /ExecStartPre=.*current/)
})

t.test('the screen ends before the voice when memory is short', async t => {
  t.match(text('parley-screen.service'), /OOMScoreAdjust=800/)
  t.match(text('parley-screen.service'), /MemoryMax=768M/)
})

t.test('the screen waits for the voice neither at its start nor at a restart', async t => {
  t.notMatch(text('parley-screen.service'), /^(After|Requires|Wants|BindsTo)=.*parley/m)
})

for (const script of ['update/boot-guard.sh', 'install.sh', 'fallback/fallback.sh', 'fallback/note-stop.sh', 'fallback/try-again.sh', 'fallback/updater.sh', 'light/light.sh', 'screen/screen.sh', 'sound/sound.sh', 'sound/pipewire.sh', 'install/parley.sh', 'boot-test/make-root.sh', 'boot-test/run.sh']) {
  t.test(`${script} is POSIX shell`, async t => {
    t.equal(spawnSync('dash', ['-n', join(SCRIPTS, script)]).status ?? 0, 0)
    t.notMatch(readFileSync(join(SCRIPTS, script), 'utf8'), /\[\[|\bfunction \w+|\blocal \b/)
  })
}
