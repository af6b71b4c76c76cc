import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { eventually } from "@tulle/testkit";

/** One end of a TCP connection, as text of one character a byte. */
export class Wire {
  readonly socket: Socket;
  /** What has come and was not taken. */
  #text = "";
  #ended = false;

  constructor(socket: Socket, onData: (wire: Wire) => void = () => undefined) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
      onData(this);
    });
    socket.on("end", () => (this.#ended = true));
    // What it was shows in what did not come.
    socket.on("error", () => undefined);
    socket.on("close", () => (this.#ended = true));
  }

  static dial(port: number): Wire {
    return new Wire(connect(port, "127.0.0.1"));
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What has come so far. */
  get text(): string {
    return this.#text;
  }

  write(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Waits until what has come ends with `end`, or matches it, and takes it. */
  async receive(end: string | RegExp): Promise<string> {
    await eventually(() => {
      if (typeof end === "string" ? this.#text.endsWith(end) : end.test(this.#text)) return true;
      throw new Error(`waited for ${String(end)}, got ${JSON.stringify(this.#text.slice(-2000))}`);
    });
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** Waits for the other side's end, and takes what came before it. */
  async receiveAll(): Promise<string> {
    await eventually(() => this.#ended);
    const text = this.#text;
    this.#text = "";
    return text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A server whose answers a test writes by hand. */
export class WireServer {
  readonly port: number;
  /** Connections that brought anything; those of health checks do not. */
  readonly wires: Wire[] = [];
  readonly #server: Server;
  #last: Wire | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => {
      const wire = new Wire(socket, () => {
        if (!this.wires.includes(wire)) this.wires.push(wire);
        this.#last = wire;
      });
    });
  }

  static async listen(): Promise<WireServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new WireServer(server);
  }

  /** The connection that brought something last. */
  get wire(): Wire {
    if (this.#last === undefined) throw new Error("nothing has come");
    return this.#last;
  }

  /** Waits until what came last ends with `end`, and takes it. */
  async receive(end: string): Promise<string> {
    await eventually(() => {
      if (this.wires.some(({ text }) => text.endsWith(end))) return true;
      throw new Error(`waited for ${JSON.stringify(end)}, got ${JSON.stringify(this.#last?.text)}`);
    });
    return this.wire.receive(end);
  }

  /** Closes what is open; the next request comes on a new connection. */
  hangUp(): void {
    for (const wire of this.wires.splice(0)) wire.close();
  }

  close(): void {
    this.hangUp();
    this.#server.close();
  }
}
