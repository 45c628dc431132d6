// npm dependencies from the lock file, and the one native build among them.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Missing, say } from './say.mjs'

/** Where Node's headers are beside the running Node: without them node-gyp would download them. */
export function nodeDir() {
  return [process.env.npm_config_nodedir, dirname(dirname(process.execPath)), '/usr'].find(p => p && existsSync(join(p, 'include/node/node.h')))
}

/** Install scripts are not run (npm versions differ in which they allow, and one downloads GPU libraries): what must be built is built below. */
export function installDependencies(root) {
  say('Installing npm dependencies …')
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (npm.status !== 0) throw new Missing(`npm ci failed (its words are above)${npm.error ? `: ${npm.error.message}` : ''}. It needs npm and the npm registry.`)
}

/** A conversation is held without it (pacat or aplay plays), so its failure is told and not fatal: the next run tries again. */
export function buildSpeaker(root) {
  const folder = join(root, 'node_modules', 'speaker')
  const binding = join(folder, 'build', 'Release', 'binding.node')
  if (!existsSync(folder) || existsSync(binding)) return
  const gyp = nodeGyp()
  const headers = nodeDir()
  if (!gyp || !headers) {
    return say(`The package speaker is not built: ${gyp ? "Node's headers are missing (<prefix>/include/node/node.h; Debian: libnode-dev)" : "npm's node-gyp was not found"}. pacat or aplay plays instead.`)
  }
  // Its audio library has no configuration for arm64; that of x64 fits.
  const configs = join(folder, 'deps', 'mpg123', 'config', 'linux')
  if (process.arch === 'arm64' && !existsSync(join(configs, 'arm64'))) cpSync(join(configs, 'x64'), join(configs, 'arm64'), { recursive: true })
  const build = spawnSync(process.execPath, [gyp, 'rebuild', `--nodedir=${headers}`], { cwd: folder, encoding: 'utf8' })
  if (build.status !== 0 || !existsSync(binding)) {
    say(`${build.stdout}${build.stderr}`.split('\n').slice(-15).join('\n'))
    say('The package speaker could not be built (above): pacat or aplay plays instead.')
  }
}

/** npm brings one. */
function nodeGyp() {
  const npmCli = process.env.npm_execpath ?? spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim()
  if (!npmCli || !existsSync(npmCli)) return undefined
  const npm = dirname(dirname(realpathSync(npmCli)))
  return [join(npm, 'node_modules/node-gyp/bin/node-gyp.js'), '/usr/share/nodejs/node-gyp/bin/node-gyp.js'].find(p => existsSync(p))
}
