import { MeshError } from "@tulle/base";
import { CommanderError } from "commander";

import type { RegisterCommand } from "./command.js";
import type { CliContext } from "./context.js";
import { EXIT, exitCodeOf } from "./exit-code.js";
import { createProgram } from "./program.js";

/** Runs one command; gives the code to exit with. Never rejects. */
export async function runCommand(
  commands: readonly RegisterCommand[],
  argv: readonly string[],
  context: CliContext,
): Promise<number> {
  let code: number = EXIT.ok;
  const program = createProgram(commands, context, (exitCode) => (code = exitCode));
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = MeshError.from(thrown);
    context.err(`tulle: ${error.message}\n`);
    if (error.kind === "internal") context.err(`${stackOf(thrown)}\n`);
    return exitCodeOf(error.kind);
  }
}

function stackOf(thrown: unknown): string {
  const deepest = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return deepest instanceof Error ? (deepest.stack ?? deepest.message) : String(deepest);
}
