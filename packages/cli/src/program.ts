import { Command } from "commander";

import type { RegisterCommand } from "./command.js";
import { addAccessOptions } from "./connection/access-options.js";
import type { CliContext } from "./context.js";

const FOOTER = `
Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no control plane; 4 not found; 5 conflict; 6 denied;
70 a fault of Tulle. "tulle run" exits with the application's own code.

Start with:
  $ tulle demo                        a mesh with a shop in it, on this machine, in your terminal
  $ tulle up                          a control plane on 127.0.0.1:8500
  $ tulle run --service web --port 8080 --upstream api:9080 -- node web.js`;

/** `tulle` with these commands. `exit` takes the exit code of a command that ran. */
export function createProgram(
  commands: readonly RegisterCommand[],
  context: CliContext,
  exit: (code: number) => void,
): Command {
  const program = new Command("tulle")
    .description("A service mesh: discovery, routing, mutual TLS and metrics for services in any language")
    .showHelpAfterError("(add --help for more)")
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: context.out, writeErr: context.err })
    .addHelpText("after", FOOTER);
  for (const register of commands) register(program, context, exit);
  addAccessOptions(program);
  return program;
}
