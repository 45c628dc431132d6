import t from 'tap'
import { StoppedVoice } from '../../runtime/cli/stopped-voice.js'

/** A service manager in which the voice and the fallback are in these states; `asked`: what was done. */
function manager(voice: string, fallback: string) {
  const asked: string[] = []
  const systemctl = async (...args: string[]): Promise<string> => {
    if (args[0] === 'show') return `${args.at(-1) === 'parley.service' ? voice : fallback}\n`
    asked.push(args.join(' '))
    if (args[0] === 'reset-failed' && voice !== 'failed') throw new Error('not failed')
    return ''
  }
  return { asked, systemctl }
}

const AGAIN = ['reset-failed parley.service', 'start --no-block parley.service']

for (const state of ['active', 'activating', 'failed']) {
  t.test(`a voice that is ${state} is stopped for the checks and started after them`, async t => {
    const { asked, systemctl } = manager(state, 'inactive')
    {
      await using _stopped = await StoppedVoice.stop(() => {}, systemctl)
      t.same(asked, ['stop parley.service'])
    }
    t.same(asked, ['stop parley.service', ...AGAIN])
  })
}

t.test('a fallback that speaks is ended, too, and first: at its end it may ask for the voice', async t => {
  const { asked, systemctl } = manager('failed', 'active')
  await using _stopped = await StoppedVoice.stop(() => {}, systemctl)
  t.same(asked, ['stop parley-fallback.service', 'stop parley.service'])
})

t.test('a voice that somebody has stopped stays so, and without a service manager nothing is done', async t => {
  const { asked, systemctl } = manager('inactive', 'inactive')
  t.equal(await StoppedVoice.stop(() => {}, systemctl), undefined)
  t.equal(await StoppedVoice.stop(() => {}, () => Promise.reject(new Error('no systemctl'))), undefined)
  t.same(asked, [])
})
