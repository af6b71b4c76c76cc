import { spawn } from "node:child_process";

import { MeshError, systemErrorCode } from "@tulle/base";

/** What a tool said. */
export interface ToolResult {
  readonly code: number;
  readonly output: string;
  readonly error: string;
}

/** Runs a program with a script on its stdin; undefined when it is not installed. */
export function runTool(
  program: string,
  args: readonly string[],
  script = "",
): Promise<ToolResult | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "pipe" });
    let output = "";
    let error = "";
    child.stdout.on("data", (piece: Buffer) => (output += piece.toString("utf8")));
    child.stderr.on("data", (piece: Buffer) => (error += piece.toString("utf8")));
    // It may end without having read everything.
    child.stdin.on("error", () => undefined);
    child.on("error", (thrown) => {
      if (systemErrorCode(thrown) === "ENOENT") resolve(undefined);
      else
        reject(
          new MeshError("unavailable", "CLI_TOOL_FAILED", `${program} cannot be started: ${thrown.message}`),
        );
    });
    child.on("close", (code) => resolve({ code: code ?? 1, output, error }));
    child.stdin.end(script);
  });
}

/** The error of a tool that failed: `denied` CLI_RULES_REFUSED. */
export function refused(program: string, error: string): MeshError {
  const said = error.trim().replaceAll(/\s+/g, " ").slice(0, 300);
  const hint = /not permitted|permission denied|must be root/i.test(error) ? " (run it as root)" : "";
  return new MeshError("denied", "CLI_RULES_REFUSED", `${program} refused: ${said}${hint}`);
}
