import { Option, type Command } from "commander";

import type { CliContext } from "./context.js";

export const DEFAULT_SERVER = "http://127.0.0.1:8500";

/** A command says what it is; its work is loaded when it runs, so that `tulle run` stays small. */
export type RegisterCommand = (program: Command, context: CliContext, exit: (code: number) => void) => void;

/** `--server URL`, for every command that talks to a control plane. */
export function serverOption(context: CliContext): Option {
  return new Option("--server <url>", "control plane's HTTP address ($TULLE_SERVER)").default(
    context.environment["TULLE_SERVER"] ?? DEFAULT_SERVER,
  );
}

/** For commands that go on running: how whoever starts them learns that they are ready, and takes them along. */
export function readyOptions(): readonly Option[] {
  return [
    new Option("--ready-fd <fd>", "write one line of JSON to this file descriptor once ready").argParser(
      Number,
    ),
    new Option("--ready-file <file>", "write one line of JSON to this file once ready"),
    new Option("--end-with-fd <fd>", "end when the other end of this pipe is closed").argParser(Number),
  ];
}
