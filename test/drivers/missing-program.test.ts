import t from 'tap'
import * as alsa from '../../drivers/microphone/alsa.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import * as pipe from '../../drivers/speaker/pipe.js'
import { pactl } from '../../drivers/echo/pulse-tools.js'
import { testHost } from './host.js'

process.env['PATH'] = '/nonexistent'

t.test('a recorder that is not installed is told by name, with the package to install', async t => {
  await t.rejects(pulse.open(pulse.schema.parse({ driver: 'pulse' }), testHost()), { code: 'missing-program', message: /parec/, hint: /apt-get install pulseaudio-utils/ })
  await t.rejects(alsa.open(alsa.schema.parse({ driver: 'alsa' }), testHost()), { code: 'missing-program', message: /arecord/, hint: /apt-get install alsa-utils/ })
})

t.test('so is a player, and the tool of the sound server', async t => {
  await t.rejects(pipe.open(pipe.schema.parse({ driver: 'pipe' }), testHost()), { code: 'missing-program', message: /pacat/, hint: /pulseaudio-utils/ })
  await t.rejects(pipe.open(pipe.schema.parse({ driver: 'pipe', program: 'aplay' }), testHost()), { code: 'missing-program', message: /aplay/, hint: /alsa-utils/ })
  await t.rejects(pactl('info'), { code: 'missing-program', hint: /pulseaudio-utils/ })
})
