import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { tinyBundle } from '../models/tiny-bundle.js'

t.setTimeout(90_000)

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))

t.test('bench measures steps, memory and a cold start on this machine and prints them as JSON', async t => {
  await using bundle = await tinyBundle()
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'bench', '--stage', 'file', '--steps', '20', '--seconds', '1', '--rounds', '0', '--bundle', bundle.folder], { timeout: 80_000 })
  const { machine, step, idle, talk } = JSON.parse(stdout) as { machine: string; step: Record<string, unknown>; idle: Record<string, unknown>; talk: string }
  t.match(machine, /^\d+ × /)
  t.match(step, { silent: { steps: Number }, spoken: { steps: Number } }, 'ticks in which it speaks are told apart')
  for (const figures of [step, idle]) t.ok(numbers(figures).length > 0 && numbers(figures).every(n => Number.isFinite(n) && n >= 0), JSON.stringify(figures))
  t.equal(talk, 'left out')
})

const numbers = (value: unknown): number[] => (typeof value === 'number' ? [value] : value !== null && typeof value === 'object' ? Object.values(value).flatMap(numbers) : [])
