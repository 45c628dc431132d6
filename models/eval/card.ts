import { readFile } from 'node:fs/promises'
import { ParleyError, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { verdictOf, type Bar, type Figure } from './figure.js'
import type { BaseReport, Report } from './report.js'

const BEGIN = '<!-- figures -->'
const END = '<!-- /figures -->'

/** The table as Markdown, with how it was made above and what was missed below. */
export function cardText(report: Report, base?: BaseReport): string {
  const { bundle, cases, machine, figures } = report
  const head = ['figure', 'bar', 'measured', 'n', ...(base ? [base.bundle.precision, 'difference'] : []), '']
  const rows = figures.map(f => [f.title, barText(f), measured(f), `${count(f)} ${f.of}`, ...(base ? compared(f, base) : []), cases.part && f.bar ? 'not judged' : verdictText(f)])
  return [
    `Measured on ${report.when.slice(0, 10)} by \`npm run eval\`, free-running through the engine: ${bundle.name} ${bundle.version} (${bundle.precision}, ${bundle.provider}),`,
    `bundle.json sha256 \`${bundle.sha256.slice(0, 16)}\`, ${cases.n} cases. In brackets: 95 % interval (Wilson). CPU: ${machine.cpu}, load ${machine.load.toFixed(1)}.`,
    ...(cases.part ? [`**${cases.part}: the bars are not judged.**`] : []),
    '',
    ...[head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`),
    '',
    summary(report),
    ...(cases.unjudged ? ['', `${cases.unjudged} cases of facts are answered with yes or no alone; they count in no share of right replies.`] : []),
    ...(machine.load > machine.cores ? ['', 'The machine was busy: the times of a step are not those of a free core.'] : []),
  ].join('\n')
}

function summary({ figures, cases }: Report): string {
  if (cases.part) return 'No bar was judged.'
  const of = (verdict: string): string[] => figures.filter(f => f.bar && verdictOf(f) === verdict).map(f => f.title)
  const missed = of('missed')
  const not = [...of('not measured'), ...of('not enough')]
  return [
    missed.length ? `Missed: ${missed.join('; ')}.` : not.length ? 'No measured bar is missed.' : 'No bar is missed.',
    ...(not.length ? [`Not measured, or not enough: ${not.join('; ')}.`] : []),
  ].join(' ')
}

function verdictText(figure: Figure): string {
  const verdict = verdictOf(figure)
  if (verdict === 'no bar') return ''
  if (verdict === 'not enough') return `not enough: ${count(figure)} of ${figure.needs} ${figure.of}`
  if (verdict !== 'missed') return verdict
  const bar = figure.bar as Bar
  const by = Math.abs((figure.value as number) - ('least' in bar ? bar.least : bar.most))
  return `**missed by ${number(by)} ${figure.unit === '%' ? 'points' : figure.unit}**`
}

function barText({ bar, unit }: Figure): string {
  if (!bar) return '–'
  return 'least' in bar ? `≥ ${bar.least} ${unit}` : `≤ ${bar.most} ${unit}`
}

function measured({ value, unit, interval }: Figure): string {
  if (value === undefined) return 'not measured'
  return `${number(value)} ${unit}${interval ? ` (${number(interval[0])}–${number(interval[1])})` : ''}`
}

/** Value there, and how far from it: `−1.2`. */
function compared({ key, value, unit }: Figure, base: BaseReport): [string, string] {
  const other = base.figures.find(f => f.key === key)?.value
  if (other === undefined) return ['–', '–']
  const difference = value === undefined ? '–' : `${value < other ? '−' : '+'}${number(Math.abs(value - other))}`
  return [`${number(other)} ${unit}`, difference]
}

function count({ n, of }: Figure): string {
  return of === 'hours' ? n.toFixed(2) : String(n)
}

/** As many decimals as say something. */
function number(x: number): string {
  return Math.abs(x) >= 100 ? x.toFixed(0) : x.toFixed(Math.abs(x) < 10 && x % 1 ? 2 : 1)
}

/** `card` with `text` between its marks; at its end when it has none. Throws `eval-card` when the marks do not pair. */
export function replaceFigures(card: string, text: string): string {
  const block = `${BEGIN}\n${text}\n${END}`
  const begins = card.split(BEGIN).length - 1
  const ends = card.split(END).length - 1
  if (begins === 0 && ends === 0) return `${card.trimEnd()}${card.trim() ? '\n\n' : ''}${block}\n`
  const [from, to] = [card.indexOf(BEGIN), card.indexOf(END)]
  if (begins !== 1 || ends !== 1 || to < from) throw new ParleyError('eval-card', `expected one ${BEGIN} and one ${END} after it in the card`)
  return card.slice(0, from) + block + card.slice(to + END.length)
}

/** Replaces the figures of a card's file; makes the file when there is none. */
export async function writeCard(path: string, text: string): Promise<void> {
  const card = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (isMissing(cause)) return ''
    throw new ParleyError('eval-card', `cannot read ${path}`, { cause })
  })
  await writeFileAtomic(path, replaceFigures(card, text))
}
