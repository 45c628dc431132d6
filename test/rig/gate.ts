import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A door in front of a broker: shut, it hangs up on everyone who connects, so that a test decides who is there first. It can also be a link that dies without a word. */
export class Gate implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #open = false
  /** Called for each that connects. */
  onEnter: () => void = () => {}

  private constructor(server: Server) {
    this.#server = server
  }

  /** A gate, shut, to a port of this machine. */
  static async to(port: number): Promise<Gate> {
    const gate: Gate = new Gate(createServer(socket => gate.#enter(socket, port)))
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    return gate
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  open(): void {
    this.#open = true
  }

  /** Hangs up on everyone who is in, too. */
  shut(): void {
    this.#open = false
    this.hangUp()
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** What those inside say is lost from now on, and they are not told. */
  swallow(): void {
    for (const socket of this.#sockets) socket.unpipe().resume()
  }

  #enter(socket: Socket, port: number): void {
    this.onEnter()
    if (!this.#open) return void socket.destroy()
    const inner = connect(port, '127.0.0.1')
    for (const [one, other] of [[socket, inner], [inner, socket]] as const) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => { this.#sockets.delete(one); other.destroy() })
      one.pipe(other)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
