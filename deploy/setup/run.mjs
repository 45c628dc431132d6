#!/usr/bin/env node
// npm run demo | test | bench | bench:fleet | eval. Plain Node, no dependencies: it runs before there are any.
// Ubuntu 22.04's own Node 12 must get so far as to be told that it is too old: here stands only what that one can read, and the
// rest is loaded after the check.
const LEAST_NODE = [20, 17]
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
  process.stderr.write(`Node ${process.versions.node} is too old: install Node ${LEAST_NODE.join('.')} or newer, then run again.\n`)
  process.exitCode = 4
} else {
  import('./tasks.mjs').then(({ run }) => run(process.argv.slice(2))).then(code => { process.exitCode = code })
}
