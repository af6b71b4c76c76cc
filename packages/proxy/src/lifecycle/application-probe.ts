import { request } from "node:http";
import { connect } from "node:net";

import { systemErrorCode, type Clock } from "@tulle/base";

/** How the application is asked whether it is ready. */
export interface ApplicationProbe {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Of a GET that must be answered with 2xx or 3xx; absent: it must take a connection. */
  readonly path?: string;
}

const TIMEOUT_MS = 1_000;
/** So long an answer holds: whoever asks often does not ask the application as often. */
const HOLD_MS = 1_000;

/** Asks the application when it is asked itself, once at a time. */
export class ApplicationReadiness {
  readonly #probe: ApplicationProbe;
  readonly #clock: Clock;
  #asking: Promise<string | undefined> | undefined;
  #askedAtMs = 0;

  constructor(probe: ApplicationProbe, clock: Clock) {
    this.#probe = probe;
    this.#clock = clock;
  }

  /** Why the application is not ready; undefined when it is. Never rejects. */
  problem(): Promise<string | undefined> {
    const now = this.#clock.monotonic();
    if (this.#asking === undefined || now - this.#askedAtMs >= HOLD_MS) {
      this.#askedAtMs = now;
      this.#asking = ask(this.#probe);
    }
    return this.#asking;
  }
}

async function ask(probe: ApplicationProbe): Promise<string | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await (probe.path === undefined ? connected(probe, signal) : answered(probe, probe.path, signal));
  } catch (thrown) {
    if (signal.aborted) return `no answer within ${TIMEOUT_MS} ms`;
    return systemErrorCode(thrown) ?? (thrown instanceof Error ? thrown.message : "it cannot be asked");
  }
}

function connected({ port }: ApplicationProbe, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, signal });
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on("error", reject);
  });
}

function answered(
  { port }: ApplicationProbe,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { "user-agent": "tulle-readiness", connection: "close" };
    const asked = request({ host: "127.0.0.1", port, path, headers, signal, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve(status >= 200 && status < 400 ? undefined : `GET ${path}: ${status}`);
    });
    asked.on("error", reject);
    asked.end();
  });
}
