import { request, type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";

export interface CallOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** The request target as sent; default: path and query of the URL. */
  readonly target?: string;
  readonly body?: string;
  readonly agent?: Agent;
  /** False: no Host header. */
  readonly setHost?: boolean;
  /** Address of this machine that the call is made from. */
  readonly localAddress?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const TIMEOUT_MS = 10_000;

/** One request on a connection of its own, unless `agent` says otherwise. Rejects when no whole answer comes. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { method = "GET", headers = {}, target, body, agent, setHost = true, localAddress } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method,
        headers,
        setHost,
        ...(target === undefined ? {} : { path: target }),
        agent: agent ?? false,
        ...(localAddress === undefined ? {} : { localAddress }),
        timeout: TIMEOUT_MS,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", reject);
        incoming.once("end", () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString("utf8"),
          });
        });
      },
    );
    sent.once("timeout", () => sent.destroy(new Error(`${url} did not answer in time`)));
    sent.once("error", reject);
    sent.end(body);
  });
}

/** The JSON of a GET; rejects unless it is a 200. */
export async function callJson(url: string, options: CallOptions = {}): Promise<unknown> {
  const { status, body } = await call(url, options);
  if (status !== 200) throw new Error(`${url} answered ${status}: ${body.slice(0, 500)}`);
  return JSON.parse(body) as unknown;
}

/** What `web.mjs` answers. */
export interface WebAnswer {
  readonly instance: string;
  readonly version: string;
  readonly served: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The answer of `web.mjs` to a GET; rejects unless it is a 200. */
export async function askWeb(url: string, options: CallOptions = {}): Promise<WebAnswer> {
  return (await callJson(url, options)) as WebAnswer;
}
