/** Loaded by node-record-lpcm16: how PulseAudio's (and PipeWire's) recorder is started for 20 ms of latency. */
interface Options { readonly sampleRate: number; readonly channels: number; readonly device?: string }

function parec({ sampleRate, channels, device }: Options): object {
  return {
    cmd: 'parec',
    args: [
      '--raw', '--format=s16le', `--rate=${sampleRate}`, `--channels=${channels}`, '--latency-msec=20',
      // Says on stderr when the server moves the stream to another source, because ours was unplugged.
      '--verbose', '--client-name=parley',
      ...(device ? [`--device=${device}`] : []),
    ],
    spawnOptions: { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
  }
}

export = parec
