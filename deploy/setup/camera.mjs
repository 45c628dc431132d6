#!/usr/bin/env node
// npm run setup:camera: builds the OpenCV binding into ~/.cache/parley/opencv-<key>, once, at low priority.
// Compiled with g++ directly: only five OpenCV modules are wanted, so neither node-gyp nor Python is needed
// (see docs/adr on the camera binding). A broken-off build goes on where it stopped: objects are kept.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync, fsyncSync } from 'node:fs'
import { availableParallelism, homedir, setPriority } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { APT_UPDATE, aptInstall, byHand, mayRun, runAsRoot } from './as-root.mjs'
import { compileAll, link } from './camera-compile.mjs'
import { Missing, say } from './say.mjs'

/** Pinned by content: what is downloaded is compared with these before it is used. */
const TARBALLS = {
  '@u4/opencv4nodejs@7.1.2': 'sha512-dNQNZ6COm5PQ5kpUkUFXlEYSWAhWm8niGCkJY+Pu3A45UJN/A7YwVhYKJZd2/YyoADgHjn6FcUabFHKFfuLcmw==',
  'nan@2.30.0': 'sha512-P5mokDkSvCGBz6mZDD/2l+w9QoICRXdCyZ9ONGmTePr40oihJg3Kpn0YU3twKd6PJnwSlLBWNQeOT6yWEV2c4A==',
}
/** Only these: apt's `libopencv-dev` is 582 MB, most of it never used here. */
const PACKAGES = ['g++', 'libopencv-core-dev', 'libopencv-imgproc-dev', 'libopencv-imgcodecs-dev', 'libopencv-videoio-dev', 'libopencv-objdetect-dev', 'libopencv-highgui-dev', 'opencv-data', 'gstreamer1.0-plugins-base', 'ffmpeg']
const CASCADE = 'haarcascades/haarcascade_frontalface_alt2.xml'
const RECIPE = 1

/** What the build stands on, or undefined with the reason in `lacks`. */
function look() {
  const prefix = ['/usr', '/usr/local', '/opt/opencv'].find(p => existsSync(join(p, 'include/opencv4/opencv2/objdetect.hpp')))
  const nodeDir = [process.env.npm_config_nodedir, dirname(dirname(process.execPath)), '/usr'].find(p => p && existsSync(join(p, 'include/node/node.h')))
  const share = ['/usr/share/opencv4', '/usr/local/share/opencv4', '/usr/share/opencv'].find(p => existsSync(join(p, CASCADE)))
  const has = tool => spawnSync(tool, ['-v'], { stdio: 'ignore' }).error === undefined
  const lacks = []
  if (!has('g++')) lacks.push('g++ (the C++ compiler)')
  if (!prefix) lacks.push('the OpenCV 4 headers (opencv2/objdetect.hpp)')
  if (!share) lacks.push(`the face cascade (${CASCADE}, Debian package opencv-data)`)
  if (!has('ffmpeg')) lacks.push('ffmpeg')
  return { prefix, nodeDir, cascade: share && join(share, CASCADE), lacks }
}

async function installPackages(lacks) {
  const install = aptInstall(PACKAGES)
  say(`Missing: ${lacks.join('; ')}`)
  await mayRun([{ command: install }, { command: APT_UPDATE, when: 'if that fails, and then that again' }])
  // The lists of a fresh machine are empty, so a first failure is followed by one update.
  if (!runAsRoot(install) && !(runAsRoot(APT_UPDATE) && runAsRoot(install))) throw new Missing(`apt-get failed (its words are above). ${byHand(install)}`)
}

function opencvVersion(prefix) {
  const text = readFileSync(join(prefix, 'include/opencv4/opencv2/core/version.hpp'), 'utf8')
  return ['MAJOR', 'MINOR', 'REVISION'].map(part => new RegExp(`CV_VERSION_${part}\\s+(\\d+)`).exec(text)[1]).join('.')
}

/** Fetches by npm, compares with the pinned hash, unpacks to `<folder>/<name>`. No install script is ever run. */
function fetchSources(folder) {
  for (const [spec, wanted] of Object.entries(TARBALLS)) {
    const home = join(folder, basename(spec.replace(/@[^@]+$/, '')))
    if (existsSync(join(home, 'package.json'))) continue
    const npm = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, spec], { encoding: 'utf8' })
    if (npm.status !== 0) throw new Missing(`npm could not fetch ${spec}: ${(npm.stderr || String(npm.error)).trim()}`)
    const tarball = join(folder, JSON.parse(npm.stdout)[0].filename)
    const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
    if (found !== wanted) throw new Missing(`${spec} is not what was pinned: ${found} instead of ${wanted}. The registry gave something else; nothing of it was used.`)
    const half = `${home}.half`
    rmSync(half, { recursive: true, force: true })
    mkdirSync(half)
    if (spawnSync('tar', ['xzf', tarball, '-C', half, '--strip-components=1'], { stdio: 'inherit' }).status !== 0) throw new Missing(`tar could not unpack ${tarball}`)
    renameSync(half, home)
    rmSync(tarball)
  }
}

/** A real decode in a fresh process: a .node file that exists may still not load. Returns what went wrong, or undefined. */
function prove(binding, cascade) {
  const program = `
    const cv = require(process.argv[1])
    const mat = new cv.Mat(40, 60, cv.CV_8UC3, [10, 200, 30])
    const back = cv.imdecode(cv.imencode('.png', mat))
    const [b, g, r] = [...back.getData().subarray(0, 3)]
    if (back.rows !== 40 || back.cols !== 60 || b !== 10 || g !== 200 || r !== 30) throw new Error('a decoded image differs: ' + [back.rows, back.cols, b, g, r])
    new cv.CascadeClassifier(process.argv[2]).detectMultiScale(back.cvtColor(cv.COLOR_BGR2GRAY))
    if (typeof cv.VideoCapture !== 'function') throw new Error('it has no VideoCapture')`
  const env = { ...process.env, OPENCV4NODEJS_DISABLE_EXTERNAL_MEM_TRACKING: '1' }
  const run = spawnSync(process.execPath, ['-e', program, binding, cascade], { encoding: 'utf8', env, timeout: 30_000 })
  return run.status === 0 ? undefined : (run.stderr || `it ended by ${run.signal}`).trim().split('\n').find(l => /Error|ended/.test(l)) ?? run.stderr
}

/** One build at a time a folder; a lock whose owner is dead is taken over. */
function lock(folder) {
  const path = join(folder, 'lock')
  for (;;) {
    try {
      const fd = openSync(path, 'wx')
      writeFileSync(fd, String(process.pid))
      closeSync(fd)
      process.on('exit', () => rmSync(path, { force: true }))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      const owner = Number(readFileSync(path, 'utf8'))
      if (owner && existsSync(`/proc/${owner}`)) throw new Missing(`Another set-up (process ${owner}) is building in ${folder}. Wait for it, then run again.`)
      rmSync(path, { force: true })
    }
  }
}

function writeReady(folder, ready) {
  const temp = join(folder, 'ready.json.tmp')
  const fd = openSync(temp, 'w')
  writeFileSync(fd, `${JSON.stringify(ready, null, 2)}\n`)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(temp, join(folder, 'ready.json'))
}

export async function setUpCamera() {
  const started = Date.now()
  let ground = look()
  if (ground.lacks.length) {
    await installPackages(ground.lacks)
    ground = look()
    if (ground.lacks.length) throw new Missing(`Still missing after the installation: ${ground.lacks.join('; ')}`)
  }
  const version = opencvVersion(ground.prefix)
  const key = createHash('sha256').update(JSON.stringify([RECIPE, TARBALLS, version, process.versions.modules, process.arch])).digest('hex').slice(0, 12)
  const cache = process.env.PARLEY_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'parley')
  const folder = join(cache, `opencv-${key}`)
  const binding = join(folder, 'opencv.node')
  if (existsSync(join(folder, 'ready.json')) && existsSync(binding)) {
    const wrong = prove(binding, ground.cascade)
    if (!wrong) return say(`OpenCV ${version} binding is ready: ${binding} (checked in ${Date.now() - started} ms)`)
    say(`The binding in the cache no longer works (${wrong}); it is built again.`)
    rmSync(folder, { recursive: true })
  }
  if (!ground.nodeDir) throw new Missing(`Node's headers are missing (<prefix>/include/node/node.h). Install them (Debian: libnode-dev; tarballs of nodejs.org hold them) or set npm_config_nodedir to the prefix.`)
  mkdirSync(folder, { recursive: true })
  lock(folder)
  setPriority(19) // inherited by the compiler: whatever else runs here comes first
  say(`Building the binding for OpenCV ${version}, Node ${process.versions.node} ${process.arch} in ${folder}`)
  fetchSources(folder)
  const jobs = Number(process.env.JOBS) || availableParallelism()
  const objects = await compileAll({ folder, ...ground, jobs, say })
  await link({ folder, ...ground, objects, binding })
  if (!existsSync(binding)) throw new Missing(`The linker ended well, but ${binding} does not exist`)
  const wrong = prove(binding, ground.cascade)
  if (wrong) throw new Missing(`The binding was built but does not work: ${wrong}`)
  writeReady(folder, { binding, cascade: ground.cascade, opencv: version, abi: process.versions.modules, arch: process.arch })
  for (const name of readdirSync(folder)) if (!['opencv.node', 'ready.json', 'lock'].includes(name)) rmSync(join(folder, name), { recursive: true })
  say(`Ready after ${Math.round((Date.now() - started) / 1000)} s: ${binding}`)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  setUpCamera().catch(error => {
    process.stderr.write(`${error instanceof Missing ? error.message : error.stack}\n`)
    process.exitCode = 1
  })
}
