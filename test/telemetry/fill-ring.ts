import { SegmentRing } from '../../runtime/telemetry/store/ring.js'

/** A process to be killed: fills a ring as fast as it can and prints the number of each record that is stored. */
const ring = new SegmentRing(process.argv[2]!, { bytes: 10_000_000, segmentBytes: 4_000 })
await ring.open()
for (let n = 1; ; n++) {
  const { seq, stored } = ring.append(Buffer.from(JSON.stringify({ n })))
  await stored
  if (n % 50 === 0) await ring.sync()
  process.stdout.write(`${seq}\n`)
}
