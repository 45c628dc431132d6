// The compiler's part of `npm run setup:camera`: sources of @u4/opencv4nodejs → opencv.node, without node-gyp.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MODULES = ['core', 'imgproc', 'imgcodecs', 'videoio', 'objdetect']
const PARTS = ['cc', 'cc/core', 'cc/imgproc', 'cc/io', 'cc/objdetect']

/** The binding's I/O file calls these; our own answers keep GTK or Qt (44 libraries) out of the camera's process. */
const NO_WINDOW = `#include <stdexcept>
#include <opencv2/highgui.hpp>
namespace cv {
void imshow(const String&, InputArray) { throw std::runtime_error("built without windows"); }
int waitKey(int) { return -1; }
int waitKeyEx(int) { return -1; }
void destroyWindow(const String&) {}
void destroyAllWindows() {}
}
`

function compiler(args) {
  return new Promise((resolve, reject) => {
    const child = spawn('g++', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    child.stderr.on('data', chunk => { words = (words + chunk).slice(0, 4000) })
    child.on('error', reject)
    child.on('close', code => code === 0 ? resolve() : reject(new Error(`g++ failed with code ${code} on ${args.at(-1)}:\n${words}`)))
  })
}

/** Which of OpenCV's modules the binding sees: a header of ours that stands before OpenCV's own. */
function writeShadows(folder) {
  mkdirSync(join(folder, 'shadow/opencv2'), { recursive: true })
  mkdirSync(join(folder, 'objects'), { recursive: true })
  writeFileSync(join(folder, 'shadow/opencv2/opencv_modules.hpp'), MODULES.map(m => `#define HAVE_OPENCV_${m.toUpperCase()}\n`).join(''))
  writeFileSync(join(folder, 'no-window.cc'), NO_WINDOW)
}

/** Compiles every source file, `jobs` at a time; returns the object files. */
export async function compileAll({ folder, prefix, nodeDir, jobs, say }) {
  writeShadows(folder)
  const home = join(folder, 'opencv4nodejs')
  const sources = [join(folder, 'no-window.cc'), ...PARTS.flatMap(p => readdirSync(join(home, p)).filter(f => f.endsWith('.cc')).map(f => join(home, p, f)))]
  const standard = Number(process.versions.node.split('.')[0]) >= 23 ? 'gnu++20' : 'gnu++17'
  const includes = [join(folder, 'shadow'), join(prefix, 'include/opencv4'), join(nodeDir, 'include/node'), join(folder, 'nan'), join(home, 'cc'), join(home, 'cc/core'), join(home, 'cc/native-node-utils')]
  const flags = [`-std=${standard}`, '-fPIC', '-O1', '-w', '-fvisibility=hidden', '-DNODE_GYP_MODULE_NAME=opencv4nodejs', '-DBUILDING_NODE_EXTENSION', '-DUSING_UV_SHARED=1', '-DUSING_V8_SHARED=1', '-D_FILE_OFFSET_BITS=64', '-DHAVE_IO', ...includes.map(i => `-I${i}`)]
  const objects = sources.map(s => join(folder, 'objects', `${s.slice(folder.length + 1).replaceAll('/', '_')}.o`))
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < sources.length) {
      const i = next++
      // Renamed only when whole, so that a broken-off build can trust what it finds.
      if (!existsSync(objects[i])) {
        await compiler([...flags, '-o', `${objects[i]}.half`, '-c', sources[i]])
        renameSync(`${objects[i]}.half`, objects[i])
      }
      say(`  [${++done}/${sources.length}] ${sources[i].slice(folder.length + 1)}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return objects
}

export async function link({ prefix, objects, binding }) {
  const libs = MODULES.map(m => `-lopencv_${m}`)
  const paths = prefix === '/usr' ? [] : [`-L${prefix}/lib`, `-Wl,-rpath,${prefix}/lib`]
  await compiler(['-shared', '-s', '-o', `${binding}.half`, ...objects, ...paths, ...libs])
  renameSync(`${binding}.half`, binding)
}
