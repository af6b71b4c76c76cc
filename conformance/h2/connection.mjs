import { connect as connectTcp } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

import {
  block,
  ERROR_NAMES,
  Flag,
  frame,
  PREFACE,
  settings,
  Setting,
  settingsAck,
  Type,
  TYPE_NAMES,
} from "./frames.mjs";

const CLOSED = { type: "closed" };
const TIMED_OUT = { type: "timed out" };

/** A server did not do what a case expects of it. */
export class Unexpected extends Error {
  constructor(expected, actual) {
    super(`expected ${expected}, got ${actual}`);
  }
}

/**
 * One connection of a case to the server under test. Bytes go out as they are given, one write each; what comes back is
 * read frame by frame.
 */
export class Connection {
  #socket;
  #timeoutMs;
  #received = Buffer.alloc(0);
  #events = [];
  #seen = [];
  #wake = () => {};
  #closed = false;
  #sent = Promise.resolve();
  /** Settings of the server by identifier. */
  settings = new Map();

  constructor(socket, target) {
    this.#socket = socket;
    this.#timeoutMs = target.timeoutMs;
    this.target = target;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#takeFrames();
      this.#wake();
    });
    // A reset of the connection ends it as well as a FIN does.
    socket.on("error", () => {});
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.#closed = true;
        this.#wake();
      });
    }
  }

  /** Connects; over TLS the server must choose `h2`. */
  static open(target) {
    return new Promise((resolve, reject) => {
      const { host, port, tls } = target;
      const socket =
        tls === undefined
          ? connectTcp(port, host, () => resolve(new Connection(socket, target)))
          : connectTls({ ...tls, host, port, ALPNProtocols: ["h2"], rejectUnauthorized: false }, () => {
              if (socket.alpnProtocol === "h2") resolve(new Connection(socket, target));
              else reject(new Unexpected("ALPN h2", String(socket.alpnProtocol)));
            });
      socket.once("error", reject);
    });
  }

  /** Sends each buffer in a write of its own, and with a gap in a segment of its own after it. */
  send(...buffers) {
    if (this.target.gapMs === 0) for (const buffer of buffers) this.#write(buffer);
    else for (const buffer of buffers) this.#writeLater(buffer);
  }

  #write(buffer) {
    if (this.#socket.writable) this.#socket.write(buffer);
  }

  #writeLater(buffer) {
    this.#sent = this.#sent.then(async () => {
      this.#write(buffer);
      await delay(this.target.gapMs);
    });
  }

  /** Preface and SETTINGS both ways, acknowledged both ways. */
  async handshake() {
    this.send(PREFACE, settings(Setting.INITIAL_WINDOW_SIZE, 65_535));
    let own = false;
    let theirs = false;
    while (!own || !theirs) {
      const event = await this.#next();
      if (event.type !== Type.SETTINGS) {
        if (event === CLOSED || event === TIMED_OUT)
          throw new Unexpected("a SETTINGS exchange", this.#story());
        continue;
      }
      if ((event.flags & Flag.ACK) !== 0) own = true;
      else {
        theirs = true;
        for (let at = 0; at + 6 <= event.payload.length; at += 6) {
          this.settings.set(event.payload.readUInt16BE(at), event.payload.readUInt32BE(at + 2));
        }
        this.send(settingsAck());
      }
    }
    this.#seen = [];
  }

  /** The fields of a request to the server's root, with `changes` to its pseudo fields and `more` behind them. */
  request(changes = {}, ...more) {
    const pseudo = {
      ":method": "GET",
      ":scheme": this.target.tls === undefined ? "http" : "https",
      ":path": "/",
      ":authority": this.target.authority,
      ...changes,
    };
    return block([...Object.entries(pseudo).filter(([, value]) => value !== undefined), ...more]);
  }

  /** The next frame that fits. */
  async frame(what, fits) {
    for (;;) {
      const event = await this.#next();
      if (event === CLOSED || event === TIMED_OUT) throw new Unexpected(what, this.#story());
      if (fits(event)) return event;
    }
  }

  responseHead(streamId = 1) {
    return this.frame(
      `HEADERS on stream ${streamId}`,
      (event) => event.type === Type.HEADERS && event.streamId === streamId,
    );
  }

  settingsAck() {
    return this.frame("SETTINGS with ACK", ({ type, flags }) => type === Type.SETTINGS && (flags & 1) !== 0);
  }

  /** The next DATA must have so many bytes; any number without `length`. */
  async data(length) {
    const { payload } = await this.frame("DATA", ({ type }) => type === Type.DATA);
    if (length !== undefined && payload.length !== length) {
      throw new Unexpected(`DATA of ${length} bytes`, `${payload.length} bytes`);
    }
  }

  /** The response is complete. */
  streamEnd() {
    return this.frame(
      "END_STREAM",
      ({ type, flags }) => (type === Type.DATA || type === Type.HEADERS) && (flags & Flag.END_STREAM) !== 0,
    );
  }

  /** Asks whether the connection lives. */
  async lives(payload = "\0\0\0\0\0\0\0\0") {
    this.send(frame(Type.PING, 0, 0, payload));
    await this.pingAck(payload);
  }

  pingAck(payload) {
    return this.frame(
      "PING with ACK and our payload",
      (event) =>
        event.type === Type.PING && (event.flags & 1) !== 0 && event.payload.toString("latin1") === payload,
    );
  }

  /** GOAWAY with one of the codes, and the end of the connection. */
  async connectionError(...codes) {
    await this.frame(
      `GOAWAY ${codes.join(" or ")}`,
      (event) => event.type === Type.GOAWAY && codes.includes(errorOf(event)),
    );
    await this.closed();
  }

  /** RST_STREAM with one of the codes, or GOAWAY with one: a connection error takes the stream with it. */
  streamError(...codes) {
    return this.frame(
      `RST_STREAM or GOAWAY ${codes.join(" or ")}`,
      (event) =>
        (event.type === Type.RST_STREAM || event.type === Type.GOAWAY) && codes.includes(errorOf(event)),
    );
  }

  /** The server ends the connection, whatever it says before. */
  async closed() {
    for (;;) {
      const event = await this.#next();
      if (event === CLOSED) return;
      if (event === TIMED_OUT) throw new Unexpected("the end of the connection", this.#story());
    }
  }

  /** As after `frame`, or the connection has ended. */
  async orClosed(promise) {
    try {
      await promise;
    } catch (thrown) {
      if (!this.#closed) throw thrown;
    }
  }

  destroy() {
    this.#socket.destroy();
  }

  async #next() {
    let timer;
    const timedOut = new Promise((resolve) => {
      // oxlint-disable-next-line no-restricted-globals -- a client of its own, outside of the mesh
      timer = setTimeout(() => resolve(TIMED_OUT), this.#timeoutMs);
    });
    try {
      for (;;) {
        if (this.#events.length > 0) {
          const event = this.#events.shift();
          this.#seen.push(event);
          return event;
        }
        if (this.#closed) return CLOSED;
        const woken = new Promise((resolve) => {
          this.#wake = () => resolve(undefined);
        });
        if ((await Promise.race([woken, timedOut])) === TIMED_OUT) return TIMED_OUT;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #takeFrames() {
    while (this.#received.length >= 9) {
      const length = this.#received.readUIntBE(0, 3);
      if (this.#received.length < 9 + length) return;
      this.#events.push({
        type: this.#received[3],
        flags: this.#received[4],
        streamId: this.#received.readUInt32BE(5) & 0x7fff_ffff,
        payload: this.#received.subarray(9, 9 + length),
      });
      this.#received = this.#received.subarray(9 + length);
    }
  }

  /** What came, in short. */
  #story() {
    const told = this.#seen.slice(-6).map((event) => {
      const code = errorOf(event);
      return `${TYPE_NAMES[event.type] ?? `type ${event.type}`}${code === "" ? "" : `(${code})`}`;
    });
    return [...told, this.#closed ? "the end" : "silence"].join(", ");
  }
}

function errorOf({ type, payload }) {
  if (type === Type.RST_STREAM) return ERROR_NAMES[payload.readUInt32BE(0)];
  return type === Type.GOAWAY ? ERROR_NAMES[payload.readUInt32BE(4)] : "";
}
