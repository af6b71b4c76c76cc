import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { silentLogger, systemClock, type Clock, type Timer } from "@tulle/base";
import { startControlPlane, type ControlPlane } from "@tulle/control";

import { runCli } from "../../main.js";

export const START = Date.UTC(2026, 2, 1, 12, 0, 0);

/** Wall time stands still until a test moves it; timers are the host's, because sockets are real. */
export class StandingClock implements Clock {
  #now = START;

  now(): number {
    return this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  setTimeout(...timer: Parameters<Clock["setTimeout"]>): Timer {
    return systemClock.setTimeout(...timer);
  }

  setInterval(...timer: Parameters<Clock["setInterval"]>): Timer {
    return systemClock.setInterval(...timer);
  }
}

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliHarness {
  readonly clock: StandingClock;
  readonly server: string;
  readonly control: ControlPlane;
  /** Runs `tulle` in this process against the control plane. */
  readonly tulle: (argv: readonly string[], options?: RunOptions) => Promise<CliRun>;
  readonly close: () => Promise<void>;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly server?: string;
  readonly colors?: boolean;
  readonly clock?: Clock;
}

/** A control plane in memory, on free ports, and a `tulle` that talks to it. */
export async function startHarness(): Promise<CliHarness> {
  const clock = new StandingClock();
  const control = await startControlPlane({
    httpPort: 0,
    dnsPort: 0,
    xdsPort: 0,
    logger: silentLogger,
    clock,
    random: () => 0.5,
  });
  const server = `http://${control.info.addresses.http}`;
  return {
    clock,
    server,
    control,
    tulle: (argv, options = {}) => runTulle(argv, { clock, server, ...options }),
    close: () => control.close(),
  };
}

/** Runs `tulle` in this process. */
export async function runTulle(argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  let out = "";
  let err = "";
  const code = await runCli(argv, {
    environment: { TULLE_SERVER: options.server },
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    stdin: async () => options.stdin ?? "",
    colors: options.colors ?? false,
    clock: options.clock ?? new StandingClock(),
    random: () => 0.5,
  });
  return { code, out, err };
}

/** A server that answers every request with one JSON value, as a control plane once did. */
export async function startRecorded(
  body: unknown,
): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/**
 * What a golden file holds: the text, with what differs from run to run replaced. With UPDATE_GOLDENS=1 the file is
 * written first.
 */
export function golden(name: string, text: string): { readonly actual: string; readonly expected: string } {
  const file = new URL(`./${name}.golden.txt`, import.meta.url);
  const actual = text
    .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, "http://127.0.0.1:PORT")
    // It counts what the control plane itself has written, too.
    .replaceAll(/(resourceVersion"?: )"\d+"/g, '$1"REVISION"')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UID");
  if (process.env["UPDATE_GOLDENS"] === "1") writeFileSync(file, actual);
  return { actual, expected: existsSync(file) ? readFileSync(file, "utf8") : "(no golden file yet)" };
}
