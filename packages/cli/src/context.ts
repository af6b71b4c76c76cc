import { createLogger, systemClock, type Clock, type Logger, type LogLevel } from "@tulle/base";

import { EXIT } from "./exit-code.js";
import { outputTo } from "./process-output.js";

/** What commands know of the world: tests give their own. */
export interface CliContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Writes to stdout: what the command is asked for. */
  readonly out: (text: string) => void;
  /** Writes to stderr: everything else. */
  readonly err: (text: string) => void;
  /** Aborts when something was written that nobody reads any more: what would go on for ever ends then. */
  readonly unread?: AbortSignal;
  readonly stdin: () => Promise<string>;
  /** Whether stdout is a terminal that shows colours. */
  readonly colors: boolean;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** The context of a real process. */
export function processContext(): CliContext {
  const unread = new AbortController();
  const onGone = (): void => unread.abort();
  const err = outputTo(process.stderr, onGone, failAtExit);
  return {
    environment: process.env,
    out: outputTo(process.stdout, onGone, ({ message }) => {
      err(`tulle: cannot write to stdout: ${message}\n`);
      failAtExit();
    }),
    err,
    unread: unread.signal,
    stdin: readStdin,
    colors: showsColors(process.stdout, process.env),
    clock: systemClock,
    random: Math.random,
  };
}

/**
 * Whether text written there may be coloured: a terminal, and no `NO_COLOR` (no-color.org). Anything else is plain
 * text, in CI too.
 */
export function showsColors(
  // A pipe or a file has no such property, whatever the types say.
  stdout: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return stdout.isTTY === true && (environment["NO_COLOR"] ?? "") === "";
}

/** Whatever the command makes of it, what it was asked for did not arrive. */
function failAtExit(): void {
  process.once("exit", (code) => {
    if (code === EXIT.ok) process.exitCode = EXIT.failed;
  });
}

/** Log lines for people on stderr. */
export function cliLogger(context: CliContext, level: LogLevel): Logger {
  return createLogger({
    level,
    format: "text",
    write: (line) => context.err(`${line}\n`),
    now: () => context.clock.now(),
  });
}

const MAX_STDIN_BYTES = 32 * 1024 * 1024;

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_STDIN_BYTES) throw new Error(`stdin has over ${MAX_STDIN_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
