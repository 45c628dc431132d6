import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import type { ToolCall } from '../../base/frames.js'
import type { PublishOptions } from '../../drivers/actuators/mqtt.js'
import type { Actuator } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { children, host, tempFolder, until } from './kit.js'

const never = new AbortController().signal
const call = (name: string, args: ToolCall['args'] = {}): ToolCall => ({ name, args })
const open = (type: string, config: Record<string, unknown> = {}, more = {}): Promise<Actuator> => openDriver('actuator', type, config, host(more).host)

const lines = (path: string): unknown[] => readFileSync(path, 'utf8').trim().split('\n').map(line => JSON.parse(line) as unknown)

t.test('log with a path appends each call and each stop as a line of JSON, which is there when the call is over', async t => {
  const path = join(tempFolder(), 'acts.jsonl')
  writeFileSync(path, '{"name":"before"}\n')
  const actuator = await open('log', { path })
  await actuator.act(call('move', { direction: 'forward', metres: 2 }), never)
  t.match(lines(path), [{ name: 'before' }, { name: 'move', args: { direction: 'forward', metres: 2 }, at: Number }])
  actuator.stop()
  t.match(lines(path)[2], { name: 'stop', at: Number }, 'a stop is there in the same call')
  await actuator[Symbol.asyncDispose]()
  t.doesNotThrow(() => actuator.stop())
  t.equal(lines(path).length, 3, 'a closed one writes no more')
})

t.test('a log that is full begins anew and keeps one older file, and no line is lost or torn between them', async t => {
  const path = join(tempFolder(), 'acts.jsonl')
  await using actuator = await open('log', { path, mostBytes: 1_024 })
  for (let n = 0; n < 60; n++) {
    await actuator.act(call('goto', { n }), never)
    t.ok(statSync(path).size <= 1_024, `${statSync(path).size} bytes`)
    if (n % 7 === 0) actuator.stop() // also while a file changes
  }
  const kept = [...lines(`${path}.1`), ...lines(path)] as { name: string; args?: { n: number } }[]
  const numbers = kept.filter(l => l.name === 'goto').map(l => l.args?.n ?? -1)
  t.equal(numbers.at(-1), 59)
  t.ok(numbers.length > 15 && numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1), numbers.join(' '))
  t.notOk(existsSync(`${path}.2`))
  writeFileSync(path, `${JSON.stringify({ name: 'x'.repeat(1_000) })}\n`)
  await using again = await open('log', { path, mostBytes: 1_024 })
  await again.act(call('goto', { n: 60 }), never)
  t.match(lines(path), [{ args: { n: 60 } }], 'a start counts what is in the file already')
})

t.test('a log whose file cannot be opened says which and what to do; one that cannot be written fails the call, not the stop', async t => {
  const path = join(tempFolder(), 'nowhere', 'acts.jsonl')
  await t.rejects(open('log', { path }), { code: 'bad-config', message: new RegExp(path), hint: /folder/ })
  const pipe = join(tempFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const late = spawn('sh', ['-c', 'sleep 2; cat "$0"', pipe], { stdio: 'ignore', detached: true }) // so that a wait for a reader fails instead of hanging
  await t.rejects(open('log', { path: pipe }), { code: 'bad-config' }, 'a pipe that nobody reads is not waited for')
  process.kill(-(late.pid ?? 0), 'SIGKILL')
  await using full = await open('log', { path: '/dev/full' })
  await t.rejects(full.act(call('wave'), never), { code: 'act-not-written', message: /\/dev\/full/ })
  t.match(full.health(), { ok: false })
  t.doesNotThrow(() => full.stop())
})

t.test('mqtt publishes the call as JSON, with an expiry', async t => {
  const sent: [string, unknown, PublishOptions][] = []
  const publish = async (topic: string, payload: string, options: PublishOptions): Promise<void> => void sent.push([topic, JSON.parse(payload), options])
  await using actuator = await open('mqtt', { topic: 'robot/act', expiryS: 5 }, { publish })
  await actuator.act(call('goto', { place: 'gift shop' }), never)
  t.match(sent, [['robot/act', { name: 'goto', args: { place: 'gift shop' }, at: Number }, { qos: 2, expiryS: 5 }]])
})

t.test('mqtt without a broker is refused with what to do', async t => {
  await t.rejects(open('mqtt', { topic: 'a' }), { code: 'no-mqtt', hint: /\[mqtt\]/ })
})

t.test('mqtt: the stop is handed over within the same call, while a publish hangs and though publishing fails', async t => {
  const topics: string[] = []
  const publish = (topic: string): Promise<void> => {
    topics.push(topic)
    return topic.endsWith('/stop') ? Promise.reject(new Error('offline')) : new Promise(() => {})
  }
  await using actuator = await open('mqtt', { topic: 'robot' }, { publish })
  const acting = actuator.act(call('go'), never)
  actuator.stop()
  t.same(topics, ['robot', 'robot/stop'])
  await t.rejects(acting, { code: 'stopped' })
})

t.test('a publish that throws at once cannot make stop throw', async t => {
  await using actuator = await open('mqtt', { topic: 'robot' }, { publish: () => { throw new Error('broken') } })
  t.doesNotThrow(() => actuator.stop())
  t.match(actuator.health(), { ok: false, detail: /stop failed: broken/, counters: { stops: 1, stopFailures: 1 } })
})

t.test('a command takes values as whole arguments, without a shell', async t => {
  const out = join(tempFolder(), 'out')
  const script = `printf '%s\\n' "$@" > ${out}`
  await using actuator = await open('command', { calls: { order: ['sh', '-c', script, 'sh', '{count}', '{item}', 'fixed'] } })
  await actuator.act(call('order', { count: 2, item: 'blueberry muffin' }), never)
  t.equal(readFileSync(out, 'utf8'), '2\nblueberry muffin\nfixed\n')
})

t.test('a value that could do harm is refused, and nothing is run', async t => {
  const out = join(tempFolder(), 'out')
  await using actuator = await open('command', { calls: { say: ['touch', out, '{word}'] } })
  for (const word of ['-rf', '--help', '$(id)', 'a;b', 'a\nb', '../etc/passwd', '/etc/passwd', '`id`', '', 'x'.repeat(101), '\u0000', Infinity, NaN, 1e30]) {
    await t.rejects(actuator.act(call('say', { word }), never), { code: 'bad-call' }, JSON.stringify(word))
  }
  await t.rejects(actuator.act(call('say', {}), never), { code: 'bad-call', message: 'say lacks word' })
  t.notOk(existsSync(out))
})

t.test('names of calls and of values that every object has are not taken for the configuration\'s', async t => {
  await using actuator = await open('command', { calls: { say: ['true', '{toString}'] } })
  await t.rejects(actuator.act(call('constructor'), never), { code: 'unknown-call' })
  await t.rejects(actuator.act(call('say'), never), { code: 'bad-call' })
})

t.test('a placeholder that is only part of an argument, or is the program, is refused in the configuration', async t => {
  await t.rejects(open('command', { calls: { a: ['echo', 'to={place}'] } }), { code: 'bad-config', message: /whole argument/ })
  await t.rejects(open('command', { calls: { a: ['{place}'] } }), { code: 'bad-config', message: /program itself/ })
})

t.test('a second act meanwhile is refused, not queued', async t => {
  await using actuator = await open('command', { calls: { wait: ['sleep', '0.2'] } })
  const one = actuator.act(call('wait'), never)
  await t.rejects(actuator.act(call('wait'), never), { code: 'busy' })
  await one
  await actuator.act(call('wait'), never)
  t.match(actuator.health().counters, { acts: 2, refused: 1 })
})

t.test('a command that takes too long is killed with its children', async t => {
  await using actuator = await open('command', { calls: { hang: ['sh', '-c', 'sleep 60 & sleep 60'] }, timeoutMs: 100 })
  await t.rejects(actuator.act(call('hang'), never), { code: 'timeout' })
  await until(() => children().length === 0, 5_000, 'no process')
})

t.test('the caller\'s abort ends an act that is deaf to it', async t => {
  await using actuator = await open('fake', { hangs: ['go'] })
  const caller = new AbortController()
  const acting = actuator.act(call('go'), caller.signal)
  caller.abort(new Error('the person spoke'))
  await t.rejects(acting, { message: 'the person spoke' })
  await actuator.act(call('wave'), never)
})

t.test('closing ends the running act', async t => {
  const actuator = await open('fake', { hangs: ['go'] })
  const acting = actuator.act(call('go'), never)
  await actuator[Symbol.asyncDispose]()
  await t.rejects(acting, { code: 'closed' })
})

t.test('emergency stop: the running command is killed and the stop command runs although our event loop never turns', async t => {
  const folder = tempFolder()
  const moving = join(folder, 'moving')
  const stopped = join(folder, 'stopped')
  writeFileSync(moving, '')
  const move = `while :; do echo . >> ${moving}; sleep 0.01; done`
  await using actuator = await open('command', { calls: { move: ['sh', '-c', move] }, stop: ['touch', stopped] })
  const acting = actuator.act(call('move'), never)
  await until(() => statSync(moving).size > 4, 10_000, 'it moves')
  const began = performance.now()
  actuator.stop()
  const returnedMs = performance.now() - began
  while (!existsSync(stopped) && performance.now() - began < 2_000); // nothing else can run in this process
  const stoppedMs = performance.now() - began
  const size = statSync(moving).size
  while (performance.now() - began < stoppedMs + 100);
  t.equal(statSync(moving).size, size, 'it moves no more')
  t.ok(stoppedMs < 500, `stopped after ${stoppedMs.toFixed(1)} ms; stop() returned after ${returnedMs.toFixed(1)} ms`)
  t.comment(`stop() returned after ${returnedMs.toFixed(1)} ms, the stop command had run after ${stoppedMs.toFixed(1)} ms`)
  await t.rejects(acting, { code: 'stopped' })
})

t.test('emergency stop: from a button to the actuator with a hanging act and a busy event loop, ten times', { timeout: 60_000 }, async t => {
  const gpio = join(tempFolder(), 'gpio')
  writeFileSync(gpio, '0')
  await using button = await openDriver('sensor', 'button', { gpio }, host().host)
  await using actuator = await open('fake', { hangs: ['go'] })
  let pressedAt = 0
  const took: number[] = []
  let released = 0
  void (async () => {
    for await (const { value } of button.readings()) {
      if (value === 'released') released++
      if (value !== 'pressed') continue
      actuator.stop()
      took.push(performance.now() - pressedAt)
    }
  })()
  const burn = setInterval(() => { for (const end = performance.now() + 30; performance.now() < end;); }, 35)
  try {
    for (let i = 1; i <= 10; i++) {
      await until(() => released === i, 5_000, 'it rests') // a release that no look saw would make the next press no news
      const acting = actuator.act(call('go'), never)
      await systemClock.sleep(60 + 7 * i) // another phase of the loop each time
      pressedAt = performance.now()
      writeFileSync(gpio, '1')
      await t.rejects(acting, { code: 'stopped' })
      writeFileSync(gpio, '0')
    }
  } finally {
    clearInterval(burn)
  }
  t.equal(took.length, 10)
  t.ok(Math.max(...took) < 500, `at most ${Math.max(...took).toFixed(0)} ms`)
  t.comment(`button to stop with the event loop 85 % busy: at most ${Math.max(...took).toFixed(0)} ms`)
})

t.test('stop works without an act, many times, and after it the actuator acts again', async t => {
  await using actuator = await open('fake', { stopThrows: true })
  for (let i = 0; i < 100; i++) t.doesNotThrow(() => actuator.stop())
  await actuator.act(call('wave'), never)
  t.equal(actuator.health().counters['stops'], 100)
})
