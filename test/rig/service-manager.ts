import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import type { Test } from 'tap'

/** Why there can be none; false: there can. */
export const noPython = spawnSync('python3', ['--version']).status === 0 ? false : 'python3, which stands in for systemd\'s socket, is missing'

/** systemd's end of the socket. Node has no datagram sockets of this kind, which is why there is an addon at all. */
const LISTENER = 'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\nn=sys.argv[1]\ns.bind(chr(0)+n[1:] if n[0]=="@" else n)\nprint("bound",flush=True)\nwhile True:\n  print(repr(s.recv(4096).decode()),flush=True)\n'

/** Listens at `NOTIFY_SOCKET=name`; gives the next message, its lines parted by `\\n`; rejects after the test. */
export async function listener(t: Test, name: string): Promise<() => Promise<string>> {
  const child: ChildProcess = spawn('python3', ['-c', LISTENER, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => void child.kill('SIGKILL'))
  const lines = (createInterface({ input: child.stdout as NodeJS.ReadableStream }) as Interface)[Symbol.asyncIterator]()
  await lines.next()
  return async () => {
    const { done, value } = await lines.next()
    if (done) throw new Error('nobody listens any more')
    return String(value).slice(1, -1)
  }
}
