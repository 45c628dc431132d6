/** Loaded by node-record-lpcm16: its own arecord recorder gives 150 ms blocks; 20 ms periods give 20 ms. */
interface Options { readonly sampleRate: number; readonly channels: number; readonly device?: string }

function arecord({ sampleRate, channels, device }: Options): object {
  return {
    cmd: 'arecord',
    args: [
      '-q', '-t', 'raw', '-f', 'S16_LE', '-r', String(sampleRate), '-c', String(channels),
      '--buffer-time=200000', '--period-time=20000', // µs
      ...(device ? ['-D', device] : []),
      '-',
    ],
    spawnOptions: { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
  }
}

export = arecord
