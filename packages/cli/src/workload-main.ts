import { registerGateway } from "./commands/gateway.js";
import { registerRun } from "./commands/run.js";
import { registerSidecar } from "./commands/sidecar.js";
import { processContext } from "./context.js";
import { runCommand } from "./run-cli.js";

/**
 * `tulle run`, `tulle sidecar` and `tulle gateway` alone: what runs beside every application is bundled without the rest, which keeps
 * some 40 MB out of each of these processes (scripts/bundle.mjs).
 */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await runCommand(
    [registerRun, registerSidecar, registerGateway],
    argv,
    processContext(),
  );
}
