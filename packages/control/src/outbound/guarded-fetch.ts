import type { LookupAddress } from "node:dns";
import { lookup as hostLookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";

import { mayConnectFor, MeshError, systemErrorCode, type Clock } from "@tulle/base";

export interface GuardedFetchOptions {
  readonly clock: Clock;
  /** Whether this machine may be asked: where nobody logs in, who writes configuration is of it anyway. */
  readonly loopback: boolean;
  /** Whether `http://` is allowed, too. Default false. */
  readonly plaintext?: boolean;
  /** Roots that servers are verified against, PEM. Default: the system's. */
  readonly ca?: string;
  /** Of a whole call; default 10 s. */
  readonly timeoutMs?: number;
  /** Longest body; default 1 MiB. */
  readonly maxBytes?: number;
  /** Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
}

export interface GuardedRequest {
  readonly method?: "GET" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface GuardedAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Fetches a URL that somebody else wrote. */
export type GuardedFetch = (url: string, request?: GuardedRequest) => Promise<GuardedAnswer>;

const MAX_URL_LENGTH = 2048;

/**
 * What the control plane fetches from URLs in configuration (key sets, discovery documents, bundles) goes through this one
 * place: https only unless told otherwise, no credentials in the URL, no redirects, a time limit and a size limit. Names
 * are resolved once, every address that they have must be allowed (see `mayConnectFor`), and the connection is made to
 * one of these: a name cannot mean something else the second time (DNS rebinding). The body of a failure is in no error.
 *
 * Errors: `invalid` OUTBOUND_URL; `denied` OUTBOUND_TARGET; `unavailable` OUTBOUND_FAILED; `timeout` OUTBOUND_TIMEOUT;
 * `exhausted` OUTBOUND_TOO_LARGE.
 */
export function createGuardedFetch(options: GuardedFetchOptions): GuardedFetch {
  const { clock, timeoutMs = 10_000, maxBytes = 1024 * 1024 } = options;
  return async (text, request = {}) => {
    const url = readUrl(text, options.plaintext === true);
    const controller = new AbortController();
    const timer = clock.setTimeout(() => controller.abort(), timeoutMs);
    const late = new Promise<never>((_resolve, reject) => {
      controller.signal.addEventListener("abort", () => reject(new Error("late")), { once: true });
    });
    // Whichever ends first; the other is not waited for.
    late.catch(() => undefined);
    try {
      const work = (async (): Promise<GuardedAnswer> => {
        const address = await allowedAddress(url, options);
        return exchange(url, address, request, { signal: controller.signal, maxBytes, ca: options.ca });
      })();
      return await Promise.race([work, late]);
    } catch (thrown) {
      if (thrown instanceof MeshError) throw thrown;
      if (controller.signal.aborted) {
        const seconds = timeoutMs / 1000;
        throw new MeshError("timeout", "OUTBOUND_TIMEOUT", `${url.host} did not answer within ${seconds} s`);
      }
      const why = systemErrorCode(thrown) ?? "no answer";
      throw new MeshError("unavailable", "OUTBOUND_FAILED", `cannot fetch from ${url.host}: ${why}`, {
        cause: thrown,
      });
    } finally {
      timer[Symbol.dispose]();
      controller.abort();
    }
  };
}

function readUrl(text: string, plaintext: boolean): URL {
  let url: URL | undefined;
  try {
    if (text.length <= MAX_URL_LENGTH) url = new URL(text);
  } catch {
    // Said below.
  }
  const isAllowed = url?.protocol === "https:" || (plaintext && url?.protocol === "http:");
  if (url !== undefined && isAllowed && url.username === "" && url.password === "") return url;
  throw new MeshError(
    "invalid",
    "OUTBOUND_URL",
    `expected ${plaintext ? "an http:// or https://" : "an https://"} URL without user and password`,
  );
}

async function allowedAddress(
  url: URL,
  { loopback, lookup = lookupAll }: GuardedFetchOptions,
): Promise<LookupAddress> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  const addresses = family === 0 ? await lookup(host) : [{ address: host, family }];
  const [first] = addresses;
  if (first !== undefined && addresses.every(({ address }) => mayConnectFor(address, { loopback })))
    return first;
  if (first === undefined) throw new Error("no address");
  throw new MeshError(
    "denied",
    "OUTBOUND_TARGET",
    `${url.host} is not asked: it leads to this machine, its link or no host; use an address that others reach it by`,
  );
}

function lookupAll(host: string): Promise<readonly LookupAddress[]> {
  return hostLookup(host, { all: true });
}

function exchange(
  url: URL,
  { address, family }: LookupAddress,
  { method = "GET", headers = {}, body }: GuardedRequest,
  limits: { readonly signal: AbortSignal; readonly maxBytes: number; readonly ca: string | undefined },
): Promise<GuardedAnswer> {
  const options: RequestOptions = {
    method,
    headers: { accept: "application/json", "user-agent": "tulle", ...headers },
    agent: false,
    signal: limits.signal,
    // The address that was looked at, whatever the name means by now.
    lookup: (_host, wanted, callback) => {
      if (wanted.all === true) callback(null, [{ address, family }]);
      else callback(null, address, family);
    },
  };
  return new Promise((resolve, reject) => {
    const onAnswer = (answer: IncomingMessage): void => {
      const pieces: Buffer[] = [];
      let size = 0;
      answer.on("error", reject);
      answer.on("data", (piece: Buffer) => {
        size += piece.length;
        if (size <= limits.maxBytes) return void pieces.push(piece);
        const message = `the answer of ${url.host} is over ${limits.maxBytes} bytes`;
        reject(new MeshError("exhausted", "OUTBOUND_TOO_LARGE", message));
        answer.destroy();
      });
      answer.on("end", () => {
        const { statusCode: status = 0 } = answer;
        if (status >= 300 && status <= 399) {
          reject(
            new MeshError(
              "unavailable",
              "OUTBOUND_FAILED",
              `${url.host} sends elsewhere: name the place itself`,
            ),
          );
          return;
        }
        resolve({ status, headers: answer.headers, body: Buffer.concat(pieces).toString("utf8") });
      });
    };
    const outgoing =
      url.protocol === "https:"
        ? httpsRequest(
            url,
            { ...options, minVersion: "TLSv1.2", ...(limits.ca === undefined ? {} : { ca: limits.ca }) },
            onAnswer,
          )
        : httpRequest(url, options, onAnswer);
    outgoing.on("error", reject);
    // An answer to an upgrade that nobody asked for.
    outgoing.on("close", () => reject(new Error("closed without an answer")));
    outgoing.end(body);
  });
}
