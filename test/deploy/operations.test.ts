import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MENDS } from '../../deploy/fallback/why.js'
import { ROOT } from './tree.js'

const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')
const source = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
/** What stands between a heading and the next one. */
const section = (heading: string): string => page.split(/^## /m).find(part => part.startsWith(heading)) ?? ''
const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(match => match[1] as string)

t.test('every check of `parley doctor` has a line that says what to do, and no line is of a check that is gone', async t => {
  const checks = readdirSync(join(ROOT, 'runtime/doctor')).flatMap(name => all(source(`runtime/doctor/${name}`), /\bwhat: '([^']+)'/g))
  const lines = all(section('`parley doctor`'), /^\| (`[^|]+`) \|/gm).flatMap(cell => all(cell, /`([^`]+)`/g))
  t.ok(checks.length > 15, `${checks.length} checks`)
  t.same([...new Set(lines)].sort(), [...new Set(checks)].sort())
})

t.test('every reason of the fallback has a line', async t => {
  const told = all(source('deploy/fallback/fallback.sh'), /\bwhy=([a-z-]+)/g)
  t.same(all(section('Out of service'), /`([a-z-]+)`/g).filter(word => told.includes(word)).sort(), [...new Set(told)].sort())
  for (const why of Object.keys(MENDS)) t.ok(told.includes(why), why)
})

t.test('every way in which the light can shine has a row', async t => {
  const rows: Readonly<Record<string, RegExp>> = {
    'steady 1': /^\| on \|/m, 'blink 1900 100': /^\| on, a blink of darkness every 2 s \|/m, 'blink 1000 1000': /^\| slow, 1 s on, 1 s off \|/m,
    'blink 100 900': /^\| a short flash each second \|/m, 'blink 150 150': /^\| quick, 3 a second \|/m, 'steady 0': /^\| off \|/m,
  }
  const shown = all(source('deploy/light/light.sh'), /^ {4}[a-z-]+\) ((?:steady|blink) [\d ]+) ;;/gm).map(text => text.trim())
  t.same([...shown].sort(), Object.keys(rows).sort())
  for (const how of shown) t.match(section('What it shows'), rows[how], how)
})

t.test('what `systemctl status` is said to say is what the voice says', async t => {
  const told = all(section('What it shows'), /`(the model is being loaded|no progress: [a-z]+)`/g)
  const parts = all(source('runtime/compose/runtime.ts'), /\{ name: '([a-z]+)', limitMs/g).map(part => `no progress: ${part}`)
  t.same([...new Set(told)].sort(), [...parts, 'the model is being loaded'].sort())
  t.match(source('runtime/compose/service.ts'), 'the model is being loaded')
})

t.test('the fallback\'s words stand there as they were recorded', async t => {
  const words = (/TEXT = \((.*)\)/.exec(source('deploy/fallback/record.py'))?.[1] ?? '').replaceAll('"', '').split(', ')
  t.equal(words.length, 2)
  for (const sentence of words) t.match(section('What it shows').toLowerCase(), `${sentence}.`)
})

t.test('every line of the screen\'s log that the page explains is one that the screen writes', async t => {
  const script = source('deploy/screen/screen.sh')
  for (const line of all(section('The screen'), /^\| `(?:begins anew: )?((?:waits|the browser|another)[^`]+)`/gm)) t.match(script, line)
})
