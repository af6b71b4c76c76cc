import { registerAnalyze } from "./commands/analyze.js";
import { registerApply } from "./commands/apply.js";
import { registerCa } from "./commands/ca.js";
import { registerCheck } from "./commands/check.js";
import { registerCompletion } from "./commands/completion.js";
import { registerDelete } from "./commands/delete.js";
import { registerDemo } from "./commands/demo.js";
import { registerDescribe } from "./commands/describe.js";
import { registerEndpoints } from "./commands/endpoints.js";
import { registerExplain } from "./commands/explain.js";
import { registerIntercept } from "./commands/intercept.js";
import { registerGet } from "./commands/get.js";
import { registerCrds } from "./commands/crds.js";
import { registerKubeconfig } from "./commands/kubeconfig.js";
import { registerLogLevel } from "./commands/log-level.js";
import { registerLogin } from "./commands/login.js";
import { registerRun } from "./commands/run.js";
import { registerGateway } from "./commands/gateway.js";
import { registerSidecar } from "./commands/sidecar.js";
import { registerStatus } from "./commands/status.js";
import { registerTest } from "./commands/test.js";
import { registerToken } from "./commands/token.js";
import { registerUp } from "./commands/up.js";
import { registerVersion } from "./commands/version.js";
import { registerPolicy } from "./commands/policy.js";
import { registerWhy } from "./commands/why.js";
import type { RegisterCommand } from "./command.js";
import { processContext, type CliContext } from "./context.js";
import { runCommand } from "./run-cli.js";

const COMMANDS: readonly RegisterCommand[] = [
  registerUp,
  registerRun,
  registerSidecar,
  registerGateway,
  registerIntercept,
  registerDemo,
  registerApply,
  registerAnalyze,
  registerDelete,
  registerGet,
  registerDescribe,
  registerStatus,
  registerCheck,
  registerCa,
  registerEndpoints,
  registerExplain,
  registerTest,
  registerPolicy,
  registerWhy,
  registerLogLevel,
  registerToken,
  registerLogin,
  registerKubeconfig,
  registerCrds,
  registerCompletion,
  registerVersion,
];

/** Runs `tulle` with the process' own context and sets its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await runCli(argv, processContext());
}

/** Runs one command; gives the code to exit with. Never rejects. */
export function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  return runCommand(COMMANDS, argv, context);
}
