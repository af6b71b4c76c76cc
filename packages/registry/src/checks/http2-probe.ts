import { connect, type ClientHttp2Session } from "node:http2";

import { formatAddress } from "@tulle/base";

import type { ProbeDefinition } from "../definition.js";
import type { ProbeResult } from "./probe.js";
import { openSocket, reasonOf } from "./probe-socket.js";

type Http2Probe = Extract<ProbeDefinition, { kind: "grpc" | "h2ping" }>;

/** What an answered question came to. */
type Answer = (status: ProbeResult["status"], output: string) => void;

/** More of an answer is not read: a HealthCheckResponse is a few bytes. */
const MAX_ANSWER_BYTES = 1024;
/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const SERVING_STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** Asks over one HTTP/2 connection: `grpc.health.v1`, or a PING, which every server answers. */
export function probeHttp2(probe: Http2Probe, signal: AbortSignal): Promise<ProbeResult> {
  const at = formatAddress(probe.host, probe.port);
  const what = probe.kind === "grpc" ? `gRPC check ${at}` : `HTTP2 ping ${at}`;
  return new Promise((resolve) => {
    const answer: Answer = (status, output) => resolve({ status, output: `${what}: ${output}` });
    const fail = (reason: string): void => answer("critical", reason);
    let session: ClientHttp2Session;
    try {
      const socket = openSocket(probe, ["h2"]);
      const scheme = probe.tls === undefined ? "http" : "https";
      session = connect(`${scheme}://${at}`, { createConnection: () => socket });
    } catch (thrown) {
      fail(reasonOf(thrown));
      return;
    }
    const end = (): void => session.destroy();
    signal.addEventListener("abort", end, { once: true });
    session.on("error", (error) => fail(reasonOf(error)));
    session.on("close", () => {
      signal.removeEventListener("abort", end);
      fail("gave up");
    });
    const done: Answer = (status, output) => {
      answer(status, output);
      end();
    };
    if (probe.kind === "grpc") askHealth(session, probe.service, done);
    else
      session.on("connect", () => {
        // It may have been given up while it was being made.
        if (session.destroyed) return;
        session.ping((error) => done(error === null ? "passing" : "critical", error?.message ?? "Success"));
      });
    if (signal.aborted) end();
  });
}

function askHealth(session: ClientHttp2Session, service: string, done: Answer): void {
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  let grpcStatus = "";
  const note = (headers: object): void => {
    const status = (headers as Record<string, unknown>)["grpc-status"];
    if (typeof status === "string") grpcStatus = status;
  };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= MAX_ANSWER_BYTES) pieces.push(piece);
    else stream.close();
  });
  stream.on("error", (error) => done("critical", reasonOf(error)));
  stream.on("end", () => {
    if (grpcStatus !== "0") {
      done("critical", grpcStatus === "" ? "no answer of gRPC" : `gRPC status ${grpcStatus}`);
      return;
    }
    const status = servingStatus(Buffer.concat(pieces));
    done(status === "SERVING" ? "passing" : "critical", status);
  });
  stream.end(healthRequest(service));
}

/** A gRPC frame with `HealthCheckRequest {service}`. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

/** The status of a framed `HealthCheckResponse`; a message without the field says UNKNOWN. */
function servingStatus(frame: Buffer): string {
  const isEmpty = frame.length === 5;
  if (!isEmpty && (frame.length !== 7 || frame[5] !== 0x08))
    return "an answer that is no HealthCheckResponse";
  return SERVING_STATUSES[isEmpty ? 0 : frame[6]!] ?? "an unknown status";
}
