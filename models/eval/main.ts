import { ParleyError, describe } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { cardText, writeCard } from './card.js'
import { evaluate, type Evaluation } from './evaluate.js'
import { USAGE, parseOptions } from './options.js'

/** Exit codes: 0 measured (whatever the figures), 2 wrong use, 1 all else. */
async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new ParleyError('eval-stopped', 'stopped before its end; nothing was written')))
  const evaluation = await evaluate({ ...options, signal: stop.signal, progress: line => process.stderr.write(`${line}\n`) })
  const text = cardText(evaluation.report, evaluation.base)
  process.stdout.write(`${text}\n`)
  if (options.json !== undefined) await writeFileAtomic(options.json, `${JSON.stringify(fullReport(evaluation), null, 1)}\n`)
  if (options.card !== undefined) await writeCard(options.card, text)
}

/** The report, and each result for whoever looks for the reasons. */
function fullReport({ report, results }: Evaluation): object {
  const cases = results.cases.map(({ item, expected, ...result }) => ({
    wav: item.wav, set: item.set, voice: item.voice, intent: item.intent, said: item.said, wanted: { calls: expected.calls, values: expected.values, missing: item.missing, reply: item.reply }, ...result,
  }))
  return { ...report, results: { cases, follows: results.follows, quiet: results.quiet, tones: results.tones, people: results.people, readers: results.readers, orders: results.orders, pairs: results.pairs } }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${describe(error)}\n`)
  process.exitCode = error instanceof ParleyError && error.code === 'eval-usage' ? 2 : 1
}
