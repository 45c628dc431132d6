import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ParleyError } from '../../base/errors.js'
import type { Io } from '../io.js'
import { build } from './build.js'
import { Signer, loadAll } from './keys.js'
import { ROLES, Repository, type RoleKeys, type RoleName } from './repository.js'

export const releaseHelp = `
parley release keys    --keys DIR --name NAME…
parley release init    --repo DIR --keys DIR --root a,b,c:2 --targets d,e:2 --snapshot f:1 --timestamp g:1
parley release build   --repo DIR --version 1.4.0 --sequence 14 --arch arm64 --out FILE --part app=DIR --part bundle=DIR…
parley release sign    --repo DIR --keys DIR --key NAME… [--manifest FILE --channel stable | --renew]
parley release publish --repo DIR --keys DIR --snapshot f --timestamp g
parley release rotate  --repo DIR --keys DIR --role ROLE --to a,b:1 --root a,b

The vendor's side. A key is a file; NAMES:N means that N of them must sign. Each signer runs \`sign\` on his own machine with the
repository's folder; \`publish\` refuses what has too few signatures, and also renews the timestamp (every night, by a machine).
\`sign --renew\`: no new release, but the signatures for another 90 days.
What is published is plain static files: copy the folder, without staged/, to a web server or a USB stick, metadata/timestamp.json last.`

const many = { type: 'string', multiple: true } as const
const one = { type: 'string' } as const
const OPTIONS = { repo: one, keys: one, name: many, root: one, targets: one, snapshot: one, timestamp: one, version: one, sequence: one, arch: one, out: one, part: many, key: many, manifest: one, channel: one, role: one, to: one, renew: { type: 'boolean' } } as const

/** Exit code 0; everything else is a thrown `ParleyError`. */
export async function releaseMain(argv: readonly string[], io: Io): Promise<number> {
  const [verb, ...rest] = argv
  const { values } = parse(rest)
  const need = (name: keyof typeof OPTIONS): string => {
    const value = values[name]
    if (typeof value !== 'string' || value === '') throw usage(`--${name} is missing`)
    return value
  }
  const repo = (): Repository => new Repository(need('repo'), io.wall)
  const keysOf = async (text: string): Promise<RoleKeys> => {
    const [names = '', threshold = '1'] = text.split(':')
    return { signers: await loadAll(need('keys'), names.split(',')), threshold: Number(threshold) }
  }
  switch (verb) {
    case 'keys':
      await mkdir(need('keys'), { recursive: true, mode: 0o700 })
      for (const name of values.name ?? []) io.out(`${name} ${(await Signer.create(need('keys'), name)).key.keyID}`)
      return 0
    case 'init':
      await repo().init(Object.fromEntries(await Promise.all(ROLES.map(async role => [role, await keysOf(need(role))]))) as Record<RoleName, RoleKeys>)
      io.out(`Devices are installed with ${need('repo')}/metadata/1.root.json`)
      return 0
    case 'build': {
      const parts = Object.fromEntries((values.part ?? []).map(text => text.split('=', 2) as [string, string]))
      const { bytes, manifest } = await build({ version: need('version'), sequence: Number(need('sequence')), arch: need('arch') as 'x64', parts }, need('repo'))
      await writeFile(need('out'), bytes)
      for (const part of manifest.parts) io.out(`${part.folder} ${part.sha256} ${part.bytes} bytes`)
      return 0
    }
    case 'sign': {
      const repository = repo()
      if (values.manifest !== undefined) {
        const bytes = await readFile(values.manifest)
        await repository.setTarget(channelPath(values.channel ?? 'stable', JSON.parse(bytes.toString('utf8')).arch), bytes)
      } else if (values.renew) await repository.renew()
      const { have, threshold } = await repository.sign(await loadAll(need('keys'), values.key ?? []))
      io.out(`${have} of ${threshold} signatures`)
      return 0
    }
    case 'publish':
      await repo().publish({ snapshot: (await keysOf(need('snapshot'))).signers, timestamp: (await keysOf(need('timestamp'))).signers })
      io.out('published')
      return 0
    case 'rotate': {
      const role = ROLES.find(r => r === values.role)
      if (!role) throw usage(`--role is one of ${ROLES.join(', ')}`)
      await repo().rotate(role, await keysOf(need('to')), (await keysOf(need('root'))).signers)
      io.out(`the keys of ${role} are new; sign and publish with them now`)
      return 0
    }
    default:
      throw usage(`there is no ${verb ?? 'empty command'}; there are keys, init, build, sign, publish, rotate`)
  }
}

/** The target that a device of this channel follows. */
export const channelPath = (channel: string, arch: string): string => `channels/${channel}-${arch}.json`

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false })
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause))
  }
}

const usage = (message: string): ParleyError => new ParleyError('usage', message, { hint: 'parley release --help' })
