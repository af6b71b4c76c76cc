import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { addWorkloadOptions, ISTIO_PORTS, type WorkloadOptions } from "../launcher/workload-options.js";
import { announceReady } from "../ready.js";
import { endingSignal } from "../signals.js";

const EXAMPLES = `
Examples:
  $ tulle sidecar --service reviews --port 9080                     # beside an application that runs already
  $ tulle sidecar --service shell --upstream reviews:9080=9080      # a client: curl http://127.0.0.1:9080/
  $ HTTP_PROXY=http://127.0.0.1:15001 curl http://reviews:9080/`;

/** `tulle sidecar`: a sidecar for an application that somebody else runs, or for none. */
export function registerSidecar(program: Command, context: CliContext): void {
  const command = program
    .command("sidecar")
    .description("run a sidecar alone: for an application that runs already, or as a client of the mesh");
  addWorkloadOptions(command, context, ISTIO_PORTS).addHelpText("after", EXAMPLES);
  command.action((options: WorkloadOptions) => sidecar(options, context));
}

async function sidecar(options: WorkloadOptions, context: CliContext): Promise<void> {
  const { Workload } = await import("../launcher/workload.js");
  const { waitUntilListening } = await import("../launcher/free-port.js");
  const ending = endingSignal();
  const workload = await Workload.start(options, context);
  const { outbound, inbound, admin, metrics, upstreams } = workload.sidecar.addresses;
  const listeners = upstreams.map(({ name, host, port }) => ` ${name}=http://${host}:${port}`).join("");
  context.err(
    `tulle: sidecar of ${options.service} is ready: outbound=${outbound.host}:${outbound.port} inbound=${inbound.host}:${inbound.port} admin=${admin.host}:${admin.port} metrics=${metrics.host}:${metrics.port}${listeners}\n`,
  );
  const ended = Promise.race([ending, workload.sidecar.quitRequested]);
  // Announced before the application is there: the sidecar of a client has none, and others may start it only now.
  announceReady(options, workload.describe());
  if (workload.appPort !== undefined && (await waitUntilListening(workload.appPort, context.clock, ended))) {
    workload.register().catch((error: unknown) => workload.logger.error("could not register", { error }));
  }
  await ended;
  await workload.leave();
  await workload.sidecar.close();
  ending[Symbol.dispose]();
}
