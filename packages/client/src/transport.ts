import { errorFromStatus } from "@tulle/api";
import { MeshError, systemErrorCode, type Clock } from "@tulle/base";

/** Longest answer that is read, in bytes. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** Longest text that an error repeats from an answer that is no Status. */
const MAX_MESSAGE = 2048;

/** What of `fetch` is used: programs that must stay small give one over `node:http`. */
export type Fetch = (
  url: URL,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly signal: AbortSignal;
    /** Always `manual`: the control plane redirects nobody. */
    readonly redirect: "manual";
    readonly body?: string;
  },
) => Promise<FetchAnswer>;

export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
}

export interface TransportOptions {
  /** Base URL, `http://127.0.0.1:8500`. */
  readonly server: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Until a call's whole answer is there; of a stream, its headers. */
  readonly timeoutMs: number;
  /** Sent as a bearer token; never in a URL, and never in plaintext to another machine. */
  readonly token?: string | undefined;
}

export interface Call {
  readonly method: string;
  /** Begins with `/`; already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
}

export interface Answer {
  readonly status: number;
  /** Parsed JSON; undefined when the answer was empty or no JSON. */
  readonly body: unknown;
  /** What the server warned of in `Warning` headers, in order. */
  readonly warnings: readonly string[];
}

/**
 * One control plane over HTTP. Every failure is a MeshError: of the server, its own words; of the way there,
 * `unavailable` CLIENT_UNREACHABLE or `timeout` CLIENT_TIMEOUT with what to do.
 */
export class Transport {
  readonly server: string;
  readonly clock: Clock;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.server = serverUrl(options.server);
    if (options.token !== undefined) refusePlaintext(this.server);
    this.clock = options.clock;
    this.#options = options;
  }

  async call(call: Call): Promise<Answer> {
    const controller = new AbortController();
    const { clock, timeoutMs } = this.#options;
    const timer = clock.setTimeout(() => controller.abort(), timeoutMs);
    try {
      const response = await this.#send(call, controller.signal);
      const text = await readText(response);
      if (!response.ok) throw refusal(response.status, text);
      return {
        status: response.status,
        body: parseJson(text),
        warnings: warningsOf(response.headers.get("warning")),
      };
    } catch (thrown) {
      throw this.#explain(thrown, controller.signal.aborted);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /**
   * The body of an answer that may take long, until it ends, `signal` aborts or the caller stops reading. The time
   * limit is for its beginning only. Errors of the body itself come as they are.
   */
  async *stream(call: Call, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const body = await this.#begin(call, controller);
      if (body !== null) yield* body;
    } finally {
      signal.removeEventListener("abort", abort);
      abort();
    }
  }

  async #begin(call: Call, controller: AbortController): Promise<FetchAnswer["body"]> {
    let timedOut = false;
    const { clock, timeoutMs } = this.#options;
    const timer = clock.setTimeout(() => {
      timedOut = true;
      controller.abort();
    }, timeoutMs);
    try {
      const response = await this.#send(call, controller.signal);
      if (!response.ok) throw refusal(response.status, await readText(response));
      return response.body;
    } catch (thrown) {
      throw this.#explain(thrown, timedOut);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  async #send(call: Call, signal: AbortSignal): Promise<FetchAnswer> {
    const url = new URL(this.server + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const headers: Record<string, string> = { accept: "application/json" };
    const { token } = this.#options;
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    if (call.body !== undefined) headers["content-type"] = call.contentType ?? "application/json";
    return this.#options.fetch(url, {
      method: call.method,
      headers,
      signal,
      redirect: "manual",
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
  }

  #explain(thrown: unknown, timedOut: boolean): MeshError {
    if (thrown instanceof MeshError) return thrown;
    if (timedOut) {
      const seconds = this.#options.timeoutMs / 1000;
      const message = `the control plane at ${this.server} did not answer within ${seconds} s`;
      return new MeshError("timeout", "CLIENT_TIMEOUT", message, { source: "control", cause: thrown });
    }
    if (thrown instanceof Error && thrown.name === "AbortError") {
      return new MeshError("canceled", "CLIENT_CANCELED", "the call was canceled", { cause: thrown });
    }
    const code = systemErrorCode(thrown);
    if (code !== undefined && isCertificateError(code)) {
      const message =
        `the control plane at ${this.server} shows a certificate that is not trusted (${code}): ` +
        "say which is (--ca-file or --ca-fingerprint)";
      return new MeshError("denied", "CLIENT_UNTRUSTED", message, { source: "control", cause: thrown });
    }
    const lost = code === "ECONNRESET" || code === "UND_ERR_SOCKET";
    const message = lost
      ? `the control plane at ${this.server} closed the connection; try again`
      : `no control plane at ${this.server}: start one with \`tulle up\` or set TULLE_SERVER`;
    return new MeshError("unavailable", lost ? "CLIENT_DISCONNECTED" : "CLIENT_UNREACHABLE", message, {
      source: "control",
      cause: thrown,
    });
  }
}

/** OpenSSL's verdicts on a chain, as Node.js names them. */
function isCertificateError(code: string): boolean {
  return /^(?:ERR_TLS_CERT_|UNABLE_TO_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|PATH_LENGTH_EXCEEDED)/.test(
    code,
  );
}

function serverUrl(server: string): string {
  const text = server.includes("://") ? server : `http://${server}`;
  try {
    const url = new URL(text);
    if (url.protocol === "http:" || url.protocol === "https:")
      return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  } catch {
    // Said below.
  }
  const message = `${JSON.stringify(server)} is not a URL of a control plane: expected one such as http://127.0.0.1:8500`;
  throw new MeshError("invalid", "CLIENT_BAD_SERVER", message);
}

/** A token that was sent in plaintext over a network is everybody's. */
function refusePlaintext(server: string): void {
  const { protocol, hostname } = new URL(server);
  const isLocal = hostname === "localhost" || hostname === "[::1]" || /^127\.[\d.]+$/.test(hostname);
  if (protocol === "https:" || isLocal) return;
  throw new MeshError(
    "denied",
    "CLIENT_PLAINTEXT_TOKEN",
    `not sending a token to ${server} in plaintext: use https://`,
  );
}

async function readText(response: FetchAnswer): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      throw new MeshError(
        "exhausted",
        "CLIENT_ANSWER_TOO_LARGE",
        `the answer is larger than ${MAX_BODY_BYTES} bytes`,
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error of an answer: a Status says it itself, other answers (Consul's are plain text) are repeated. */
function refusal(status: number, text: string): MeshError {
  const body = parseJson(text);
  const error = errorFromStatus(status, body);
  if (body !== undefined || text.trim() === "" || text.trimStart().startsWith("<")) return error;
  return new MeshError(error.kind, error.code, text.trim().slice(0, MAX_MESSAGE), { source: "control" });
}

/** The texts of `Warning: 299 - "…"` headers (RFC 7234 section 5.5). */
export function warningsOf(header: string | null): readonly string[] {
  if (header === null) return [];
  const warnings: string[] = [];
  for (const [, quoted = ""] of header.matchAll(/\b299 [^\s"]+ "((?:[^"\\]|\\.)*)"/g)) {
    warnings.push(quoted.replaceAll(/\\(.)/g, "$1"));
  }
  return warnings;
}
