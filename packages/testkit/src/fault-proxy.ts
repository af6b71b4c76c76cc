import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What is done to the bytes that a server sends. Offsets count them, from the beginning of each connection. */
export type Fault =
  | { readonly kind: "none" }
  /** Nobody listens. */
  | { readonly kind: "refuse" }
  /** The connection is reset when so many bytes have passed. */
  | { readonly kind: "reset"; readonly after: number }
  /** The server's side ends when so many bytes have passed; the client's stays open. */
  | { readonly kind: "end"; readonly after: number }
  /** Nothing passes any more when so many bytes have. */
  | { readonly kind: "stall"; readonly after: number }
  /** A byte every `everyMs`. */
  | { readonly kind: "trickle"; readonly everyMs: number }
  /** One byte is another one. */
  | { readonly kind: "corrupt"; readonly at: number };

/**
 * A TCP proxy on loopback that spoils what passes through it, as told. A new fault holds for new connections; those that
 * there are get cut, as they would go on as before.
 */
export class FaultProxy {
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #fault: Fault = { kind: "none" };

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  /** The same for as long as it lives, also while nobody listens. */
  get port(): number {
    return this.#port;
  }

  /** Starts listening; `port` 0 = any. */
  async start(port = 0): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#serve(client));
    server.on("error", () => undefined);
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.#port = (server.address() as { port: number }).port;
  }

  async become(fault: Fault): Promise<void> {
    this.#fault = fault;
    for (const socket of this.#sockets) socket.destroy();
    if (fault.kind === "refuse") await this.#stopListening();
    else if (this.#server === undefined) await this.start(this.#port);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#stopListening();
  }

  async #stopListening(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(client: Socket): void {
    const server = connect({ port: this.#targetPort, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    }
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
    client.pipe(server);
    spoil(this.#fault, server, client);
  }
}

function spoil(fault: Fault, server: Socket, client: Socket): void {
  switch (fault.kind) {
    case "none":
    case "refuse":
      server.pipe(client);
      break;
    case "reset":
      passUntil(fault.after, server, client, () => client.resetAndDestroy());
      break;
    case "end":
      passUntil(fault.after, server, client, () => client.end());
      break;
    case "stall":
      passUntil(fault.after, server, client, () => undefined);
      break;
    case "trickle":
      trickle(fault.everyMs, server, client);
      break;
    case "corrupt":
      corrupt(fault.at, server, client);
      break;
  }
}

/** Passes so many bytes on; `then` is called once, and what comes after is dropped. */
function passUntil(count: number, server: Socket, client: Socket, then: () => void): void {
  let left = count;
  let over = false;
  server.on("data", (chunk: Buffer) => {
    if (over) return;
    const taken = chunk.subarray(0, left);
    left -= taken.length;
    if (taken.length > 0) client.write(taken);
    if (left > 0) return;
    over = true;
    then();
  });
}

function trickle(everyMs: number, server: Socket, client: Socket): void {
  const waiting: number[] = [];
  server.on("data", (chunk: Buffer) => waiting.push(...chunk));
  const timer = setInterval(() => {
    const byte = waiting.shift();
    if (byte !== undefined) client.write(Buffer.from([byte]));
  }, everyMs);
  client.on("close", () => clearInterval(timer));
}

function corrupt(at: number, server: Socket, client: Socket): void {
  let passed = 0;
  server.on("data", (chunk: Buffer) => {
    const index = at - passed;
    passed += chunk.length;
    const spoiled = Buffer.from(chunk);
    if (index >= 0 && index < spoiled.length) spoiled[index]! ^= 0xff;
    client.write(spoiled);
  });
  server.on("end", () => client.end());
}
