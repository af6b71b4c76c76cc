import type { ListenAddress, Sidecar } from "@tulle/proxy";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { addWorkloadOptions, ISTIO_PORTS, type WorkloadOptions } from "../launcher/workload-options.js";
import { announceReady } from "../ready.js";
import { endingSignal, onUpgradeSignal } from "../signals.js";

type SidecarAddresses = Sidecar["addresses"];

const EXAMPLES = `
Examples:
  $ tulle sidecar --service reviews --port 9080                     # beside an application that runs already
  $ tulle sidecar --service shell --upstream reviews:9080=9080      # a client: curl http://127.0.0.1:9080/
  $ tulle sidecar --service shell --intercept                       # with "tulle intercept up": curl http://reviews:9080/
  $ http_proxy=http://127.0.0.1:15001 curl http://reviews:9080/`;

/** `tulle sidecar`: a sidecar for an application that somebody else runs, or for none. */
export function registerSidecar(program: Command, context: CliContext): void {
  const command = program
    .command("sidecar")
    .description("run a sidecar alone: for an application that runs already, or as a client of the mesh")
    .option(
      "--intercept",
      'take the connections that "tulle intercept up" redirects here (Linux); DNS on 15053 unless --dns-port says else',
    )
    .option(
      "--fail-open",
      "until the first configuration ever, let redirected connections go to where they were made to, past the mesh (default: refuse them)",
    );
  addWorkloadOptions(command, context, ISTIO_PORTS).addHelpText("after", EXAMPLES);
  command.hook("preAction", (_program, action) => {
    const { failOpen, intercept } = action.opts<WorkloadOptions>();
    if (failOpen === true && intercept !== true) {
      action.error(
        "error: --fail-open needs --intercept: only redirected connections say where they were going",
      );
    }
  });
  command.action((options: WorkloadOptions) => sidecar(options, context));
}

async function sidecar(options: WorkloadOptions, context: CliContext): Promise<void> {
  const { isSuccessor, runSuccessor } = await import("../launcher/run-successor.js");
  if (isSuccessor(context)) {
    await runSuccessor(options, context);
    return;
  }
  const { Workload } = await import("../launcher/workload.js");
  const { startUnlessEnded } = await import("../launcher/start-unless-ended.js");
  const { waitUntilListening } = await import("../launcher/free-port.js");
  const ending = endingSignal(options.endWithFd);
  const workload = await startUnlessEnded(Workload.start(options, context), ending);
  context.err(
    `tulle: sidecar of ${options.service} is ready: ${listeners(workload.companion.addresses as SidecarAddresses)}\n`,
  );
  const upgrades = onUpgradeSignal(() => void workload.upgrade());
  const { quitRequested, failed } = workload.companion;
  const ended = Promise.race([ending, quitRequested, failed]);
  try {
    // Announced before the application is there: the sidecar of a client has none, and others may start it only now.
    announceReady(options, workload.describe());
    if (
      workload.appPort !== undefined &&
      (await waitUntilListening(workload.appPort, context.clock, ended))
    ) {
      workload.register().catch((error: unknown) => workload.logger.error("could not register", { error }));
    }
    await ended;
  } finally {
    await workload.leave();
    await workload.companion.close();
    upgrades[Symbol.dispose]();
    ending[Symbol.dispose]();
  }
}

/** `outbound=127.0.0.1:15001 … reviews:9080=127.0.0.1:9080` */
function listeners(addresses: SidecarAddresses): string {
  const { upstreams, ...own } = addresses;
  const named = [
    ...Object.entries(own),
    ...upstreams.map((upstream): [string, ListenAddress] => [upstream.name, upstream]),
  ];
  return named.map(([name, { host, port }]) => `${name}=${port === 0 ? host : `${host}:${port}`}`).join(" ");
}
