import { parseDuration } from "@tulle/base";
import { InvalidArgumentError, Option, type Command } from "commander";

import type { CliContext } from "../context.js";

interface DemoFlags {
  readonly duration?: number;
  readonly json?: boolean;
  readonly rate: number;
}

const DEFAULT_JSON_DURATION_MS = 20_000;

const EXAMPLES = `
Examples:
  $ tulle demo                          # live view; keys change the split, kill and break instances
  $ tulle demo --duration 20s --json    # without a terminal: a summary, exit code 1 if anything was wrong`;

/** `tulle demo`: a whole mesh with a shop in it. */
export function registerDemo(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("demo")
    .description(
      "watch a small shop run through sidecars over mutual TLS, with a canary that you change live",
    )
    .addOption(
      new Option(
        "--duration <duration>",
        "end after this time (default: until q, with --json 20s)",
      ).argParser(parseTime),
    )
    .option("--json", "print a summary as JSON at the end, no live view")
    .addOption(new Option("--rate <requests>", "visitors per second").argParser(parseRate).default(100))
    .addHelpText("after", EXAMPLES)
    .action(async ({ duration, json = false, rate }: DemoFlags) => {
      const { runDemo } = await import("../demo/demo.js");
      const durationMs = duration ?? (json ? DEFAULT_JSON_DURATION_MS : undefined);
      exit(await runDemo({ durationMs, json, requestsPerSecond: rate }, context));
    });
}

function parseTime(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) throw new InvalidArgumentError('expected a duration such as "20s".');
  return ms;
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!(rate >= 1 && rate <= 10_000)) throw new InvalidArgumentError("expected 1 to 10000.");
  return rate;
}
