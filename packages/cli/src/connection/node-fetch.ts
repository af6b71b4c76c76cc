import { request as plainRequest, type IncomingMessage } from "node:http";

import type { Fetch } from "@tulle/client";

export interface NodeFetchOptions {
  /** Roots that HTTPS servers are verified against, PEM. Default: the system's. */
  readonly ca?: string | undefined;
  /** Certificate that shows who calls, asked for at every call; undefined: none. */
  readonly clientCertificate?: () => Promise<{ readonly cert: string; readonly key: string } | undefined>;
}

/**
 * `fetch` over `node:http`, as far as the client needs it, with roots of trust and a certificate of one's own. The global
 * one brings an HTTP library of its own, which costs every sidecar 12 MB of memory for a few calls.
 */
export function createNodeFetch({ ca, clientCertificate }: NodeFetchOptions = {}): Fetch {
  return async (url, { method, headers, signal, body }) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const common = { method, headers: { ...headers, ...length }, signal, agent: false } as const;
    const isTls = url.protocol === "https:";
    // Most sidecars on a laptop need no TLS here.
    const { request: tlsRequest } = isTls ? await import("node:https") : { request: plainRequest };
    const certificate = isTls ? await clientCertificate?.() : undefined;
    return new Promise((resolve, reject) => {
      const onAnswer = (answer: IncomingMessage): void => {
        const status = answer.statusCode ?? 0;
        resolve({
          ok: status >= 200 && status < 300,
          status,
          headers: { get: (name) => field(answer, name) },
          body: answer as AsyncIterable<Uint8Array>,
        });
      };
      const call = isTls
        ? tlsRequest(
            url,
            { ...common, minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }), ...certificate },
            onAnswer,
          )
        : plainRequest(url, common, onAnswer);
      call.on("error", reject);
      call.end(body);
    });
  };
}

function field(answer: IncomingMessage, name: string): string | null {
  const value = answer.headers[name];
  return value === undefined ? null : Array.isArray(value) ? value.join(", ") : value;
}
