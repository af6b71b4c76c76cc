import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import type { AppProcess as Application } from "../launcher/app-process.js";
import { addWorkloadOptions, FREE_PORTS, type WorkloadOptions } from "../launcher/workload-options.js";
import { announceReady } from "../ready.js";
import { endingSignal, onUpgradeSignal } from "../signals.js";

/** The application has this long to end after SIGTERM. */
const APP_GRACE_MS = 10_000;

const EXAMPLES = `
Examples:
  $ tulle run --service ratings --port 9081 -- python3 ratings.py
  $ tulle run --service reviews --version v2 --port 9080 --upstream ratings:9081 -- node reviews.js
  $ tulle run --service web --port 0 --service-port 8080 --upstream message-service=15001 -- ./web
  $ tulle run --service db --protocol tcp --port 5432 -- postgres -D data
  $ tulle run --service chat --protocol grpc --port 9000 --proxyless -- node chat.js   # dials xds:///reviews:9080

The application finds its upstreams as RATINGS_URL (http://… or tcp://…), RATINGS_SERVICE_HOST and RATINGS_SERVICE_PORT.`;

/** `tulle run`: an application with its sidecar. */
export function registerRun(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("run")
    .description(
      "run an application with a sidecar beside it: joins the mesh, starts it, registers it, ends with it",
    )
    .argument("<command...>", "the application, after --")
    .option("--proxyless", "no sidecar: for a gRPC application that speaks xDS; it finds GRPC_XDS_BOOTSTRAP")
    .passThroughOptions();
  addWorkloadOptions(command, context, FREE_PORTS).addHelpText("after", EXAMPLES);
  command.action(async (words: [string, ...string[]], options: WorkloadOptions) => {
    exit(await run(words, options, context));
  });
}

/** What logs in at the control plane is the launcher's, not the application's. */
function withoutCredentials(environment: CliContext["environment"]): NodeJS.ProcessEnv {
  const { TULLE_TOKEN: _token, TULLE_JOIN_TOKEN: _join, ...others } = environment;
  return others;
}

async function run(
  words: [string, ...string[]],
  options: WorkloadOptions,
  context: CliContext,
): Promise<number> {
  const { isSuccessor, runSuccessor } = await import("../launcher/run-successor.js");
  if (isSuccessor(context)) {
    await runSuccessor(options, context);
    return EXIT.ok;
  }
  const { Workload } = await import("../launcher/workload.js");
  const { startUnlessEnded } = await import("../launcher/start-unless-ended.js");
  const { AppProcess } = await import("../launcher/app-process.js");
  const { waitUntilListening } = await import("../launcher/free-port.js");
  const ending = endingSignal(options.endWithFd);
  const workload = await startUnlessEnded(Workload.start(options, context), ending);
  const upgrades = onUpgradeSignal(() => void workload.upgrade());
  let app: Application | undefined;
  try {
    const environment = { ...withoutCredentials(context.environment), ...workload.environment() };
    app = await AppProcess.start({ command: words, environment, clock: context.clock });
    const ended = Promise.race([app.exited, ending, workload.companion.failed]);
    const { appPort } = workload;
    if (appPort === undefined || (await waitUntilListening(appPort, context.clock, ended))) {
      await Promise.race([workload.register(), ended]);
      announceReady(options, { ...workload.describe(), appPid: app.pid });
    }
    const first = await ended;
    await workload.leave();
    return typeof first === "number" ? first : await app.stop(APP_GRACE_MS);
  } catch (thrown) {
    // An application that nobody reaches any more, or that reaches nobody, must not outlive us.
    await workload.leave();
    await app?.stop(APP_GRACE_MS);
    throw thrown;
  } finally {
    await workload.companion.close();
    upgrades[Symbol.dispose]();
    ending[Symbol.dispose]();
  }
}
