import { Agent, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";

import * as grpc from "@grpc/grpc-js";

/**
 * What a caller saw of one call: `200`, `503`, `cut` (it broke before the answer was whole; a reset may overtake its
 * beginning), `grpc-14`, `closed`, `silence`.
 */
export interface Seen {
  readonly what: string;
  readonly tookMs: number;
  /** Text of the answer, when it is an error. */
  readonly text: string;
}

export type Protocol = "http1" | "http2" | "grpc" | "tcp";
export const PROTOCOLS: readonly Protocol[] = ["http1", "http2", "grpc", "tcp"];

/** Bytes are a conversation without end: what has not come back after so long will not. */
const SILENCE_MS = 1500;
const GIVE_UP_MS = 10_000;
/** What gRPC clients allow. */
const DEADLINE_MS = 1000;

/** Makes one call of a protocol to `url`. Never rejects. */
export async function probe(protocol: Protocol, url: string): Promise<Seen> {
  const start = performance.now();
  const { what, text } = await PROBES[protocol](url);
  return { what, text, tookMs: Math.round(performance.now() - start) };
}

type Probe = (url: string) => Promise<{ readonly what: string; readonly text: string }>;

const PROBES: Readonly<Record<Protocol, Probe>> = { http1, http2, grpc: grpcStream, tcp };

function http1(url: string): ReturnType<Probe> {
  return new Promise((resolve) => {
    const agent = new Agent();
    const sent = request(url, { agent, timeout: GIVE_UP_MS }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text = answer.statusCode === 200 ? "" : text + chunk.toString()));
      answer.once("error", () => resolve({ what: "cut", text: "" }));
      answer.once("end", () => resolve({ what: String(answer.statusCode), text }));
    });
    sent.once("timeout", () => sent.destroy());
    sent.once("error", (error) => resolve({ what: "cut", text: error.message }));
    sent.end();
  });
}

function http2(url: string): ReturnType<Probe> {
  return new Promise((resolve) => {
    const session = connectHttp2(url);
    const end = (what: string, text: string): void => {
      session.destroy();
      resolve({ what, text });
    };
    session.on("error", (error) => end("cut", error.message));
    const stream = session.request({ ":path": "/" });
    let status = 0;
    let text = "";
    stream.setTimeout(GIVE_UP_MS, () => end("none", "no answer in time"));
    stream.once("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (chunk: Buffer) => (text = status === 200 ? "" : text + chunk.toString()));
    stream.on("error", (error: Error) => end("cut", error.message));
    stream.once("end", () => stream.rstCode === 0 && end(String(status), text));
  });
}

/** One message there and back, then the end of the call. Only a client's own deadline bounds a stream that is open. */
function grpcStream(url: string): ReturnType<Probe> {
  return new Promise((resolve) => {
    const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure());
    const same = (value: Buffer): Buffer => value;
    const deadline = Date.now() + DEADLINE_MS;
    const call = client.makeBidiStreamRequest("/test.Origin/Talk", same, same, { deadline });
    call.on("data", () => call.end());
    call.on("error", () => undefined);
    call.once("status", ({ code, details }: grpc.StatusObject) => {
      client.close();
      resolve({ what: code === grpc.status.OK ? "200" : `grpc-${code}`, text: details });
    });
    call.write(Buffer.alloc(1000, "x"));
  });
}

/** A thousand bytes there and back, unaltered, then the end of both sides. */
function tcp(url: string): ReturnType<Probe> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connectTcp({ host: hostname, port: Number(port), allowHalfOpen: true });
    const sent = "y".repeat(1000);
    let heard = "";
    const end = (what: string): void => {
      socket.destroy();
      resolve({ what, text: heard.slice(0, 20) });
    };
    const silent = setTimeout(() => end("silence"), SILENCE_MS);
    socket.on("close", () => clearTimeout(silent));
    socket.on("error", () => end("closed"));
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      if (heard.length === sent.length) socket.end();
    });
    socket.on("end", () => end(heard === sent ? "200" : heard.length === sent.length ? "altered" : "closed"));
    socket.write(sent);
  });
}
