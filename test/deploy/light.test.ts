import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const SCRIPT = new URL('../../../deploy/light/light.sh', import.meta.url).pathname
const FILES = ['trigger', 'brightness', 'delay_on', 'delay_off']

/** What the LED's trigger, brightness, delay_on and delay_off are after one round. `more`: further files of this LED. */
async function shines(t: Test, units: Readonly<Record<string, string>>, trial: boolean, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-light-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  // Answers as `systemctl show -p PROPERTY --value UNIT` does.
  await writeFile(join(folder, 'systemctl'), `#!/bin/sh\ncase "$3:$5" in\n  ActiveState:parley.service) echo ${units['parley.service'] ?? 'inactive'} ;;\n  ActiveState:parley-fallback.service) echo ${units['parley-fallback.service'] ?? 'inactive'} ;;\n  StatusText:*) echo "${units['status'] ?? 'listening'}" ;;\nesac\n`)
  await chmod(join(folder, 'systemctl'), 0o755)
  const led = join(folder, 'leds/status')
  await mkdir(led, { recursive: true })
  for (const file of FILES) await writeFile(join(led, file), '0\n')
  for (const [file, text] of Object.entries(more)) await writeFile(join(led, file), text)
  await writeFile(join(folder, 'light'), 'status\n')
  if (trial) await writeFile(join(folder, 'trial'), '')
  await promisify(execFile)('sh', [SCRIPT], { env: { PATH: `${folder}:${process.env['PATH']}`, PARLEY_LEDS: join(folder, 'leds'), PARLEY_ETC: folder, PARLEY_UPDATE_STATE: folder, PARLEY_LIGHT_S: 'once' }, timeout: 20_000 })
  return (await Promise.all(FILES.map(async file => (await readFile(join(led, file), 'utf8')).trim()))).join(' ')
}

for (const [what, units, trial, shown] of [
  ['it listens', { 'parley.service': 'active' }, false, 'none 1 0 0'],
  ['a new release is on trial', { 'parley.service': 'active' }, true, 'timer 0 1900 100'],
  ['it starts', { 'parley.service': 'activating' }, false, 'timer 0 1000 1000'],
  ['a part stands still', { 'parley.service': 'active', status: 'no progress: capture' }, false, 'timer 0 100 900'],
  ['it is out of service', { 'parley-fallback.service': 'active' }, true, 'timer 0 150 150'],
  ['it is stopped', {}, false, 'none 0 0 0'],
] as const) {
  t.test(`the light when ${what}`, async t => {
    t.equal(await shines(t, units, trial), shown)
  })
}

t.test('a light of many steps is on as bright as it can be', async t => {
  t.equal(await shines(t, { 'parley.service': 'active' }, false, { max_brightness: '255\n' }), 'none 255 0 0')
  t.equal(await shines(t, {}, false, { max_brightness: '255\n' }), 'none 0 0 0')
})

t.test('a light that nobody has named is no reason to try again', async t => {
  await t.rejects(promisify(execFile)('sh', [SCRIPT], { env: { PATH: process.env['PATH'], PARLEY_ETC: '/nowhere' }, timeout: 20_000 }), { code: 4 })
})
