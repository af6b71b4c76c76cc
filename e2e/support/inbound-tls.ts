import { connect as connectTcp } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

import type { Address } from "./workload.js";

/** How a connection to an inbound port ended. */
export interface Attempt {
  /** The status line of the answer; "" when the connection ended before one. */
  readonly answer: string;
  /** TLS version; "" when there was no handshake. */
  readonly protocol: string;
  readonly resumed: boolean;
  /** Serial number of the certificate that answered, hexadecimal in lower case; "" when there was no handshake. */
  readonly serial: string;
  /** Sessions that the server offered for resumption. */
  readonly sessions: readonly Buffer[];
  /** Error of the connection; "" when it just ended. */
  readonly error: string;
}

const REQUEST = "GET /served HTTP/1.1\r\nhost: web:8080\r\nconnection: close\r\n\r\n";
const TIMEOUT_MS = 5000;

/** Makes a TLS connection without looking at who answers, sends one request and tells what came back. */
export function tryTls(at: Address, options: ConnectionOptions): Promise<Attempt> {
  return new Promise((resolve) => {
    const sessions: Buffer[] = [];
    let protocol = "";
    let resumed = false;
    let serial = "";
    let error = "";
    let text = "";
    const socket: TLSSocket = connect(
      { ...options, host: at.host, port: at.port, rejectUnauthorized: false },
      () => {
        protocol = socket.getProtocol() ?? "";
        // Asked now: once the connection is closed the question crashes Node.js 20. And the certificate only once: a
        // second call finds it gone.
        resumed = socket.isSessionReused();
        serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
        socket.write(REQUEST);
      },
    );
    socket.on("session", (session) => sessions.push(session));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", (thrown) => (error = thrown.message));
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("neither an answer nor an end in time")));
    socket.once("close", () => {
      resolve({ answer: firstLine(text), protocol, resumed, serial, sessions, error });
    });
  });
}

/** Sends one request in plaintext; gives the status line, "" when the connection ended without an answer. */
export function tryPlaintext(at: Address): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connectTcp(at.port, at.host, () => socket.write(REQUEST));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.setTimeout(TIMEOUT_MS, () => {
      socket.destroy();
      reject(new Error("neither an answer nor an end in time"));
    });
    socket.once("close", () => resolve(firstLine(text)));
  });
}

function firstLine(text: string): string {
  return text.split("\r\n", 1)[0] ?? "";
}
