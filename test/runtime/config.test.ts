import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isSurelyThere } from '../../base/files.js'
import { ParleyError } from '../../base/errors.js'
import { Random } from '../../models/engine/random.js'
import { exitCodeOf } from '../../runtime/cli/command.js'
import { checkDrivers, loadConfig, loadSite } from '../../runtime/config/load.js'
import { configJsonSchema, configSchema } from '../../runtime/config/schema.js'
import { hideSecrets } from '../../runtime/config/secrets.js'
import { factLines, readingsOf } from '../../runtime/config/site.js'

const folder = await mkdtemp(join(tmpdir(), 'parley-config-'))
t.teardown(() => rm(folder, { recursive: true }))
const file = join(folder, 'parley.toml')

async function messageOf(toml: string | Uint8Array): Promise<string> {
  await writeFile(file, toml)
  try {
    await loadConfig(file)
    return ''
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error
    return error.message
  }
}

t.test('no configuration at all is a whole one', async t => {
  const config = configSchema.parse({})
  t.equal(config.microphone.driver, 'auto')
  t.equal(config.actuator.driver, 'log')
  t.same(await checkDrivers(config), [])
  t.equal(await messageOf(''), '')
})

t.test('what is wrong is told with key, value and what was expected', async t => {
  const cases: [string, RegExp][] = [
    ['[playout]\nleadMs = "fast"', /playout\.leadMs = "fast": expected number/],
    ['[playout]\nleadMs = 900', /playout\.leadMs = 900: expected number to be <=200/],
    ['[plyout]\nleadMs = 1', /plyout = .*: expected no such key/],
    ['[playout]\nleedMs = 1', /playout\.leedMs = 1: expected no such key/],
    ['[microphone]\nname = "m"', /microphone\.driver is missing: expected string/],
    ['[bundle]\nproviders = ["gpu"]', /bundle\.providers\.0 = "gpu": expected one of/i],
    ['[log]\nlevel = "loud"', /log\.level = "loud": expected one of/i],
    ['[facts]\nrestroom = ["a", "b"]', /facts\.restroom = \["a","b"\]: expected/],
    ['[mqtt]\nurl = "broker"', /mqtt\.url = "broker": expected an address such as mqtts/],
    ['[mqtt]\nurl = "mqtt://b"\npassword = "hunter2"', /mqtt\.password = \[hidden\]: expected no password here: .*passwordFile/],
    ['playout = 3', /playout = 3: expected a table/],
    ['[sensors.Door]\ndriver = "fake"', /sensors\.Door = .*: expected a key that is a lower-case name/],
    ['[readings]\nbattery = nan', /readings\.battery = "NaN": expected/],
    ['[playout\nleadMs = 3', /is not TOML: line 1/],
  ]
  for (const [toml, expected] of cases) t.match(await messageOf(toml), expected, toml.replace('\n', ' '))
})

t.test('a driver\'s own section is checked by the driver', async t => {
  const config = configSchema.parse({ microphone: { driver: 'wav' }, speaker: { driver: 'nul' }, sensors: { battery: { driver: 'battery', everyMs: 'often' } } })
  const keys = (await checkDrivers(config)).map(w => w.key)
  t.ok(keys.includes('microphone.path'), keys.join(' '))
  t.ok(keys.includes('speaker.driver'))
  t.ok(keys.some(k => k.startsWith('sensors.battery')))
})

t.test('keys that no driver of `auto` knows are told, and an actuator without its broker', async t => {
  t.same((await checkDrivers(configSchema.parse({ microphone: { driver: 'auto', devise: 'x' }, actuator: { driver: 'mqtt', topic: 'a' } }))).map(w => w.key), ['microphone.devise', 'mqtt'])
  t.same(await checkDrivers(configSchema.parse({ microphone: { driver: 'auto', device: 'x' }, speaker: { driver: 'auto', program: 'aplay' } })), [])
})

t.test('a secret is shown nowhere', async t => {
  const secret = 'hunter2-hunter2'
  t.notMatch(JSON.stringify(hideSecrets({ mqtt: { url: 'mqtt://localhost', username: 'u', password: secret } })), secret)
  for (const toml of [`[mqtt]\nurl = "x"\npassword = "${secret}"`, `[mqtt]\nurl = "mqtt://b"\npassword = ["${secret}"]`, `[mqtt]\npassword = "${secret}`, `[mqtt]\nurl = "mqtt://b"\napi_key = "${secret}"`, `[microphone]\ndriver = { token = "${secret}" }`]) {
    const message = await messageOf(toml)
    t.ok(message, 'it is refused')
    t.notMatch(message, secret, toml.replaceAll('\n', ' '))
  }
})

t.test('fuzz: whatever stands in the file, the answer is a good configuration or a ParleyError', async t => {
  const random = new Random(7)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.next() * items.length)] as T
  const words = ['[playout]', '[facts]', '[[facts]]', 'leadMs', '=', '"', '{', '}', '[', ']', '\n', '1e999', 'nan', '-inf', '9007199254740993', 'true', '1979-05-27', "'''", '\u0000', '\ud83d', 'a.b.c', '__proto__', 'constructor', ' ', '#', ',', 'restroom', '\\u0000']
  let refused = 0
  for (let i = 0; i < 800; i++) {
    const toml = Array.from({ length: 1 + Math.floor(random.next() * 25) }, () => pick(words)).join(pick(['', ' ', '\n']))
    if (await messageOf(toml)) refused++ // anything but a ParleyError fails the test by throwing
  }
  t.ok(refused > 300, `${refused} of 800 were refused`)
  await t.rejects(loadConfig(join(folder, 'nowhere.toml')), { code: 'config-missing' })
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
  t.match(await messageOf('[__proto__]\npolluted = 1'), /./)
})

t.test('a site\'s facts and readings become the lines that the model reads', async t => {
  await writeFile(file, '[facts]\nrestroom = "left of the entrance"\nopening_hours = "8 to 20"\nfloors = 3\n[readings]\nbattery = 9\n')
  const site = await loadSite(file)
  t.same(factLines(site.facts), ['restroom: left of the entrance', 'opening hours: 8 to 20', 'floors: 3'])
  t.same(readingsOf(site.readings), [{ source: 'battery', value: 9 }])
  await writeFile(file, '[playout]\nleadMs = 3\n')
  await t.rejects(loadSite(file), { code: 'bad-config' }, 'a site has no other sections')
})

t.test('the JSON Schema names every section', async t => {
  const schema = configJsonSchema() as { properties: Record<string, unknown> }
  for (const section of ['bundle', 'microphone', 'facts', 'mqtt', 'playout']) t.ok(schema.properties[section], section)
})

t.test('what this user may not look at is told with `sudo`, and never taken for the defaults', async t => {
  const closed = join(folder, 'closed')
  await mkdir(closed)
  await writeFile(join(closed, 'parley.toml'), '[facts]\nrestroom = "left"\n')
  await chmod(closed, 0)
  // As root nothing is refused: a child gives that up once its modules are there, as a technician without sudo would run it.
  const child = `const [{ loadConfig }, { isSurelyThere }] = await Promise.all([import(${JSON.stringify(import.meta.resolve('../../runtime/config/load.js'))}), import(${JSON.stringify(import.meta.resolve('../../base/files.js'))})])
    process.chdir(${JSON.stringify(closed)})
    if (process.getuid() === 0) process.setuid(65534)
    const tell = work => work.then(() => ({ code: 'none' }), ({ code, message, hint }) => ({ code, message, hint }))
    console.log(JSON.stringify(await Promise.all([tell(loadConfig()), tell(loadConfig(${JSON.stringify(join(closed, 'parley.toml'))})), tell(isSurelyThere('parley.toml'))])))`
  const told = await new Promise<unknown>((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', child], { timeout: 30_000 }, (error, out) => (error ? reject(error) : resolve(JSON.parse(out))))
  })
  await chmod(closed, 0o700)
  const refused = { code: 'config-unreadable', message: /parley\.toml cannot be read by this user/, hint: /sudo/ }
  t.match(told, [refused, refused, { code: 'EACCES' }])
  t.equal(exitCodeOf(new ParleyError('config-unreadable', '')), 3)
})

t.test('a configuration whose folder is a file is not there', async t => {
  await writeFile(file, '')
  await t.rejects(loadConfig(join(file, 'parley.toml')), { code: 'config-missing' })
  t.equal(await isSurelyThere(join(file, 'parley.toml')), false)
})

t.test('of a file that is too long, or has no end, no more is read than a configuration may have', async t => {
  const path = join(t.testdir(), 'parley.toml')
  await writeFile(path, `# ${'x'.repeat(1_000_000)}\n`)
  await t.rejects(loadConfig(path), { code: 'bad-config', message: /more than 1000000 bytes/ })
  await t.rejects(loadConfig('/dev/zero'), { code: 'bad-config', message: /more than 1000000 bytes/ })
})
