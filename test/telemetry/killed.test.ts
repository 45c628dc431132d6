import { spawn } from 'node:child_process'
import t from 'tap'
import { SegmentRing } from '../../runtime/telemetry/store/ring.js'
import { Folder } from './kit.js'

t.test('a process killed five times in the middle of its writes has lost nothing that it called stored', async t => {
  await using folder = await Folder.make()
  let last = 0
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, [new URL('./fill-ring.js', import.meta.url).pathname, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    let killAt = 0
    await new Promise<void>(resolve => {
      child.stdout.on('data', (text: Buffer) => {
        out += text.toString()
        // Some time after the first lines, at a moment that no code chooses.
        if (killAt === 0) killAt = setTimeout(() => child.kill('SIGKILL'), 50 + 37 * round) as unknown as number
      })
      child.once('close', () => resolve())
    })
    const said = out.split('\n').slice(0, -1).map(Number)
    t.ok(said.length > 0, `${said.length} stored in round ${round}`)
    last = Math.max(last, said.at(-1) ?? 0)
    const ring = new SegmentRing(folder.path, { bytes: 10_000_000, segmentBytes: 4_000 })
    await ring.open()
    const have = (await ring.oldest(10_000_000)).map(r => r.seq)
    t.ok(have.length >= last && have.every((seq, i) => seq === i + 1), `all ${last}, in order`)
    t.equal(ring.dropped, 0)
    await ring.close()
  }
})
