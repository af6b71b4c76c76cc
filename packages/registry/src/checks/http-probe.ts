import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { request as httpsRequest } from "node:https";
import type { CheckStatus, ProbeDefinition } from "../definition.js";
import type { ProbeResult } from "./probe.js";
import { reasonOf } from "./probe-socket.js";
import { refuseBadAddresses, refuseBadLiteral } from "./refuse-target.js";

type HttpProbe = Extract<ProbeDefinition, { kind: "http" }>;

/** 2xx passes, 429 warns, all else is critical, redirects too: they are not followed. */
export function httpStatusMeaning(statusCode: number): CheckStatus {
  if (statusCode >= 200 && statusCode <= 299) return "passing";
  return statusCode === 429 ? "warning" : "critical";
}

/** One request on a connection of its own: a kept one would not notice that new ones fail. */
export function probeHttp(
  probe: HttpProbe,
  outputMaxBytes: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const what = `HTTP ${probe.method} ${probe.url}`;
  return new Promise((resolve) => {
    const fail = (reason: string): void => resolve({ status: "critical", output: `${what}: ${reason}` });
    let request: ClientRequest;
    try {
      request = open(probe, signal);
    } catch (thrown) {
      fail(reasonOf(thrown));
      return;
    }
    request.on("socket", refuseBadAddresses);
    request.on("error", (error) => fail(reasonOf(error)));
    // Covers what is neither an answer nor an error, such as an upgrade that was not asked for.
    request.on("close", () => fail("closed without an answer"));
    request.on("response", (response) => {
      collect(response, outputMaxBytes, (body, failure) => {
        const code = response.statusCode ?? 0;
        if (failure === undefined) {
          const line = `${what}: ${code} ${response.statusMessage ?? ""}`.trimEnd();
          resolve({ status: httpStatusMeaning(code), output: `${line} Output: ${body}` });
        } else fail(reasonOf(failure));
        request.destroy();
      });
    });
    request.end(probe.body);
  });
}

function open(probe: HttpProbe, signal: AbortSignal): ClientRequest {
  const url = new URL(probe.url);
  refuseBadLiteral(url.hostname);
  const headers: Record<string, readonly string[] | string> = Object.create(null);
  headers["user-agent"] = "tulle-health-check";
  headers["accept"] = "text/plain, text/*, */*";
  for (const [name, values] of Object.entries(probe.headers)) {
    const lowerName = name.toLowerCase();
    headers[lowerName] = lowerName === "host" ? (values[0] ?? "") : values;
  }
  const options: RequestOptions = {
    method: probe.method,
    headers: headers as NonNullable<RequestOptions["headers"]>,
    agent: false,
    signal,
    maxHeaderSize: 65_536,
  };
  if (url.protocol === "http:") return httpRequest(url, options);
  return httpsRequest(url, {
    ...options,
    rejectUnauthorized: !probe.tlsSkipVerify,
    ...(probe.tlsServerName === "" ? {} : { servername: probe.tlsServerName }),
  });
}

/** Reads until the end or until there is enough; calls back once. */
function collect(
  response: IncomingMessage,
  maxBytes: number,
  done: (body: string, failure?: unknown) => void,
): void {
  const pieces: Buffer[] = [];
  let size = 0;
  let finished = false;
  const finish = (failure?: unknown): void => {
    if (finished) return;
    finished = true;
    done(Buffer.concat(pieces).subarray(0, maxBytes).toString("utf8"), failure);
  };
  response.on("data", (piece: Buffer) => {
    pieces.push(piece);
    size += piece.length;
    if (size >= maxBytes) finish();
  });
  response.on("end", () => finish());
  response.on("error", finish);
  response.on("close", () => finish(new Error("the connection was cut in the middle of the answer")));
}
