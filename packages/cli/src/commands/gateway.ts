import type { Sidecar } from "@tulle/proxy";
import { InvalidArgumentError, Option, type Command } from "commander";

import type { CliContext } from "../context.js";
import { gatewayLabels } from "../gateway-labels.js";
import {
  addMemberOptions,
  ISTIO_PORTS,
  parseIp,
  type WorkloadOptions,
} from "../launcher/workload-options.js";
import { collect, parsePort } from "../options.js";
import { announceReady } from "../ready.js";
import { endingSignal, onUpgradeSignal } from "../signals.js";

const EXAMPLES = `
Examples:
  $ tulle gateway                                        # the ports of Gateways with selector {istio: ingressgateway}
  $ tulle gateway --map 80=8080 --map 443=8443           # without the right to open ports below 1024
  $ tulle gateway --trusted-proxies 1                    # behind a load balancer that writes X-Forwarded-For
  $ tulle gateway egressgateway --register 443           # that workloads call by its name: an egress gateway`;

interface GatewayCommandOptions extends Omit<WorkloadOptions, "service" | "gateway"> {
  readonly map?: readonly (readonly [number, number])[];
  readonly trustedProxies: number;
  readonly register?: number;
}

/** `tulle gateway`: opens the ports that Gateways say, for clients outside the mesh. */
export function registerGateway(program: Command, context: CliContext): void {
  const command = program
    .command("gateway")
    .description(
      "run a gateway: it opens the ports that Gateway objects say, with their certificates and routes",
    )
    .argument(
      "[name]",
      "name of its service; without --label it runs Gateways that select istio=<name>, and the one that is called so",
      "ingressgateway",
    )
    .addOption(
      new Option("--address <ip>", "address that ports are opened on (default: every one)").argParser(
        parseIp,
      ),
    )
    .addOption(
      new Option("--map <port=localport>", "open a Gateway's port at another one; repeat for more").argParser(
        collect(parseMapping),
      ),
    )
    .addOption(
      new Option(
        "--trusted-proxies <count>",
        "proxies in front of it, each of which adds an address to X-Forwarded-For",
      )
        .argParser(parseCount)
        .default(0),
    )
    .addOption(
      new Option("--register <port>", "register it as a service with this port of its Gateways").argParser(
        parsePort,
      ),
    );
  addMemberOptions(command, context, ISTIO_PORTS).addHelpText("after", EXAMPLES);
  command.action((name: string, options: GatewayCommandOptions) => gateway(name, options, context));
}

async function gateway(name: string, options: GatewayCommandOptions, context: CliContext): Promise<void> {
  const { Workload } = await import("../launcher/workload.js");
  const { startUnlessEnded } = await import("../launcher/start-unless-ended.js");
  const ending = endingSignal(options.endWithFd);
  const workload = await startUnlessEnded(Workload.start(workloadOf(name, options), context), ending);
  const { companion } = workload;
  // None can take over; it would end by it otherwise.
  const upgrades = onUpgradeSignal(() => void workload.upgrade());
  const { admin } = companion.addresses as Sidecar["addresses"];
  context.err(
    `tulle: gateway ${name} is ready: admin=${admin.host}:${admin.port}; its ports: curl -s ${admin.host}:${admin.port}/listeners\n`,
  );
  try {
    announceReady(options, workload.describe());
    workload.register().catch((error: unknown) => workload.logger.error("could not register", { error }));
    await Promise.race([ending, companion.quitRequested, companion.failed]);
  } finally {
    await workload.leave();
    await companion.close();
    upgrades[Symbol.dispose]();
    ending[Symbol.dispose]();
  }
}

function workloadOf(service: string, options: GatewayCommandOptions): WorkloadOptions {
  const { map = [], trustedProxies, register, label, ...rest } = options;
  const portMap = Object.fromEntries(map);
  return {
    ...rest,
    service,
    label: label ?? gatewayLabels(service),
    gateway: { portMap, trustedProxies },
    ...(register !== undefined && { port: portMap[register] ?? register, servicePort: register }),
  };
}

function parseMapping(text: string): readonly [number, number] {
  const [port = "", local = "", ...rest] = text.split("=");
  if (rest.length > 0) throw new InvalidArgumentError("expected PORT=LOCALPORT, such as 443=8443.");
  return [parsePort(port), parsePort(local)];
}

/** More proxies in front of a gateway than anybody has. */
const MAX_PROXIES = 32;

function parseCount(text: string): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= MAX_PROXIES) return count;
  throw new InvalidArgumentError(`expected a number from 0 to ${MAX_PROXIES}.`);
}
