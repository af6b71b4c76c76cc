import { lookup } from "node:dns";
import { request as requestHttp, type IncomingMessage, type RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";

import { MeshError } from "@tulle/base";

import type { AddressGuard } from "./address-guard.js";

const MAX_REDIRECTS = 3;
const TOO_SLOW = "it did not answer in time";

export interface GuardedFetchOptions {
  readonly guard: AddressGuard;
  /** Of all redirects together, milliseconds. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/**
 * Gets a text with GET. The guard is asked for the very address that is connected to, with every redirect anew, so that no
 * name can point elsewhere in between. Rejects with `unavailable` or `denied` CONTROL_FETCH, whose message says what was wrong.
 */
export async function guardedFetch(url: string, options: GuardedFetchOptions): Promise<string> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  let next = new URL(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await get(next, options.guard, timeout);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      next = redirected(next, headers.location);
      continue;
    }
    if (statusCode !== 200) {
      response.destroy();
      throw unavailable(next, `it answered ${statusCode}`);
    }
    return await textOf(next, response, options.maxBytes, timeout);
  }
  throw unavailable(next, `there were more than ${MAX_REDIRECTS} redirects`);
}

function get(url: URL, guard: AddressGuard, signal: AbortSignal): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0 && !guard.allows(host)) return Promise.reject(denied(url, host));
  const options: RequestOptions = {
    signal,
    agent: false,
    headers: { accept: "application/json", "user-agent": "tulle" },
    lookup: guardedLookup(url, guard),
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options, resolve);
    request.on("error", (error) => reject(asFailure(url, error)));
    request.end();
  });
}

/** What the connection is made to is what was checked. One bad address among a name's spoils the name. */
function guardedLookup(url: URL, guard: AddressGuard): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, "", 0);
        return;
      }
      const bad = addresses.find(({ address }) => !guard.allows(address));
      const [first] = addresses;
      if (bad !== undefined || first === undefined) callback(denied(url, bad?.address ?? host), "", 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to === undefined || (to.protocol !== "https:" && to.protocol !== "http:"))
    throw unavailable(from, "it redirects to what is no URL with http or https");
  if (from.protocol === "https:" && to.protocol !== "https:")
    throw unavailable(from, "it redirects from https to http");
  if (to.username !== "" || to.password !== "") throw unavailable(from, "it redirects to a URL with a user");
  return to;
}

async function textOf(
  url: URL,
  response: IncomingMessage,
  maxBytes: number,
  timeout: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw unavailable(url, `its answer is longer than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw timeout.aborted ? unavailable(url, TOO_SLOW) : asFailure(url, thrown);
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks).toString("utf8");
}

function asFailure(url: URL, thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const name = thrown instanceof Error ? thrown.name : "";
  if (name === "TimeoutError" || name === "AbortError") return unavailable(url, TOO_SLOW);
  return unavailable(url, thrown instanceof Error ? thrown.message : String(thrown), thrown);
}

function unavailable(url: URL, why: string, cause?: unknown): MeshError {
  return new MeshError("unavailable", "CONTROL_FETCH", `${url.origin}${url.pathname}: ${why}`, { cause });
}

function denied(url: URL, address: string): MeshError {
  const message = `${url.origin}${url.pathname}: ${address} is an address that the control plane does not ask; see tulle up --jwks-allowed-cidrs`;
  return new MeshError("denied", "CONTROL_FETCH", message);
}
