import { isIP } from "node:net";

import { parseDuration } from "@tulle/base";
import { InvalidArgumentError, Option, type Command } from "commander";

import type { GatewayOptions } from "@tulle/proxy";

import type { AccessOptions } from "../connection/access-options.js";
import type { CliContext } from "../context.js";
import { parseNetworks } from "../intercept/rule-options.js";
import {
  collect,
  parseLabel,
  parsePort,
  parseUpstream,
  parseWorkers,
  type UpstreamArgument,
} from "../options.js";
import { readyOptions, serverOption } from "../command.js";
import type { ReadyTarget } from "../ready.js";

const PROTOCOLS = ["http", "http2", "grpc", "grpc-web", "tcp", "tls", "https"] as const;

/** What `tulle run`, `tulle sidecar` and `tulle gateway` have in common. */
export interface WorkloadOptions extends ReadyTarget, AccessOptions {
  readonly server: string;
  /** File with the token to join with; undefined: the control plane is asked for one. */
  readonly joinTokenFile?: string;
  readonly service: string;
  /** Where the application listens; 0: a free port, told to it as $PORT. Undefined: a client only. */
  readonly port?: number;
  readonly servicePort?: number;
  readonly version?: string;
  readonly namespace: string;
  readonly serviceAccount?: string;
  readonly instanceId?: string;
  /** Where other machines reach the workload; undefined: they do not. */
  readonly address?: string;
  /** Networks of load balancers that send PROXY headers. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Version of the PROXY header that the application expects. */
  readonly appProxyProtocol?: 1 | 2;
  readonly upstream?: readonly UpstreamArgument[];
  readonly label?: readonly (readonly [string, string])[];
  /** Undefined: found out from the first bytes of each connection. */
  readonly protocol?: (typeof PROTOCOLS)[number];
  readonly healthPath?: string;
  readonly readyIncludesApp?: boolean;
  readonly healthInterval?: string;
  readonly stateDir?: string;
  readonly outboundPort?: number;
  readonly inboundPort?: number;
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly readinessPort: number;
  /** Undefined: no DNS, or 15053 with `intercept`. */
  readonly dnsPort?: number;
  /** Connections are redirected to the sidecar. */
  readonly intercept?: boolean;
  /** Until the first configuration redirected connections go to where they were made to. */
  readonly failOpen?: boolean;
  /** It is a gateway. */
  readonly gateway?: GatewayOptions;
  /** No sidecar: the application's gRPC library speaks xDS itself. */
  readonly proxyless?: boolean;
  readonly accessLog: string;
  readonly healthLog: string;
  /** `NAME=VALUE` each; those of the environment first. */
  readonly limit: readonly string[];
  readonly drain: string;
  /** How long a sidecar with a successor may take to finish what it has. */
  readonly upgradeDrain: string;
  /** Share of the successes that decision records are kept of. */
  readonly recordPercent: number;
  /** Whether error answers of the sidecar carry Proxy-Status. */
  readonly proxyStatus: boolean;
  /** Threads that carry traffic. */
  readonly workers: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** The sidecar's ports when nothing is said: Istio's, or free ones where several workloads share a machine. */
export const ISTIO_PORTS = {
  outbound: 15001,
  inbound: 15006,
  admin: 15000,
  metrics: 15020,
  readiness: 15021,
};
export const FREE_PORTS = { outbound: 0, inbound: 0, admin: 0, metrics: 0, readiness: 0 };

/** Adds the options of a workload to a command. */
export function addWorkloadOptions(
  command: Command,
  context: CliContext,
  ports: typeof ISTIO_PORTS,
): Command {
  command
    .addOption(
      new Option("--service <name>", "service that this workload is an instance of")
        .argParser(parseServiceName)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--port <port>", "port the application listens on; 0 picks one and sets $PORT").argParser(
        parsePort,
      ),
    )
    .addOption(
      new Option("--service-port <port>", "port that callers name (default: the application's)").argParser(
        parsePort,
      ),
    )
    .option("--version <version>", "version of the workload, for subsets and metrics")
    .addOption(
      new Option(
        "--address <ip>",
        "address of this machine that others reach the application and its sidecar at (default: 127.0.0.1)",
      ).argParser(parseIp),
    )
    .addOption(
      new Option(
        "--upstream <service[:port][=localport]>",
        "service that the application calls, at a free port, a given one, or a socket (reviews=unix:/run/reviews.sock); repeat for more. Told to it as <SERVICE>_URL",
      ).argParser(collect(parseUpstream)),
    )
    .addOption(
      new Option(
        "--protocol <protocol>",
        "what the service speaks (default: found out from each connection)",
      ).choices(PROTOCOLS),
    )
    .option("--health-path <path>", "check health by GET of this path (default: by connecting)")
    .addOption(
      new Option("--health-interval <duration>", "time between health checks")
        .argParser(checkDuration)
        .default("1s"),
    )
    .option(
      "--ready-includes-app",
      "make /healthz/ready of the sidecar say whether the application is ready, too: asked as --health-path says",
    )
    .addOption(
      port("--outbound-port <port>", "outbound proxy (service by Host, or HTTP_PROXY)", ports.outbound),
    )
    .addOption(port("--inbound-port <port>", "inbound listener, mutual TLS", ports.inbound))
    .addOption(
      new Option(
        "--dns-port <port>",
        "answer DNS for the mesh's names with virtual IPs, UDP and TCP; 0 picks a port (default: none)",
      ).argParser(parsePort),
    )
    .addOption(
      new Option(
        "--app-proxy-protocol <version>",
        "tell the application its client by a PROXY header, 1 or 2; leave out --health-path then (default: none)",
      ).argParser(parseProxyProtocol),
    );
  addMemberOptions(command, context, ports);
  // What only several options together show. Said here, as commander says what it finds itself.
  command.hook("preAction", (_program, action) => {
    const { port: appPort, servicePort, readyIncludesApp } = action.opts<WorkloadOptions>();
    if (readyIncludesApp === true && appPort === undefined) {
      action.error("error: --ready-includes-app needs --port: say where the application listens");
    }
    if (servicePort !== undefined && appPort === undefined) {
      action.error("error: --service-port needs --port: say where the application listens");
    }
  });
  return command;
}

/** Adds the options of everything that joins the mesh with a proxy: workloads and gateways. */
export function addMemberOptions(
  command: Command,
  context: CliContext,
  ports: Pick<typeof ISTIO_PORTS, "admin" | "metrics" | "readiness">,
): Command {
  command
    .option("-n, --namespace <namespace>", "namespace of the service", "default")
    .option("--service-account <name>", "identity of the workload (default: the service's name)")
    .option(
      "--join-token-file <file>",
      "one-time token of the service account to join with ($TULLE_JOIN_TOKEN; default: ask the control plane for one)",
    )
    .option("--instance-id <id>", "unique name of this instance (default: service, version and port)")
    .addOption(
      new Option("--label <name=value>", "label of the workload; repeat for more").argParser(
        collect(parseLabel),
      ),
    )
    .option(
      "--state-dir <dir>",
      "where identity and last configuration are kept (default: $XDG_STATE_HOME/tulle/…)",
    )
    .addOption(port("--admin-port <port>", "admin endpoints", ports.admin))
    .addOption(port("--metrics-port <port>", "Prometheus metrics", ports.metrics))
    .addOption(port("--readiness-port <port>", "/healthz/ready", ports.readiness))
    .addOption(
      new Option(
        "--proxy-protocol-from <networks>",
        "load balancers, such as 10.0.0.0/8, whose plaintext connections begin with a PROXY header (default: none)",
      ).argParser(parseNetworks),
    )
    .option("--access-log <sink>", '"stdout", "off" or a file', "off")
    .option(
      "--health-log <sink>",
      'what health checks find out, as JSON lines: "stdout", "off" or a file',
      "off",
    )
    .addOption(
      new Option(
        "--limit <name=value>",
        "limit towards peers that is not the default (docs/limits.md), such as http1.maxHeadBytes=16384; repeat for more, or list them in $TULLE_LIMITS",
      )
        .argParser(collect((text) => text))
        .default(wordsOf(context.environment["TULLE_LIMITS"]), "none"),
    )
    .addOption(
      new Option(
        "--record-percent <percent>",
        'share of the successful requests that "tulle why" can tell about; failures all are',
      )
        .argParser(parsePercent)
        .default(1),
    )
    .option("--no-proxy-status", "leave the Proxy-Status field (RFC 9209) out of the sidecar's error answers")
    .addOption(
      new Option("--drain <duration>", "how long requests under way may take at the end")
        .argParser(checkDuration)
        .default("5s"),
    )
    .addOption(
      new Option(
        "--upgrade-drain <duration>",
        "how long connections may go on at a sidecar that another one has taken over from (SIGUSR2)",
      )
        .argParser(checkDuration)
        .default("10m"),
    )
    .addOption(
      new Option(
        "--workers <count>",
        "threads that carry traffic, each on the same ports (Linux); 1: the only one does everything",
      )
        .argParser(parseWorkers)
        .env("TULLE_WORKERS")
        .default(1),
    )
    .addOption(new Option("--log-level <level>").choices(["debug", "info", "warn", "error"]).default("warn"))
    .addOption(serverOption(context));
  for (const option of readyOptions()) command.addOption(option);
  return command;
}

function port(flags: string, description: string, value: number): Option {
  return new Option(flags, description)
    .argParser(parsePort)
    .default(value, value === 0 ? "a free one" : String(value));
}

function parsePercent(text: string): number {
  const percent = Number(text);
  if (text.trim() !== "" && percent >= 0 && percent <= 100) return percent;
  throw new InvalidArgumentError("expected a number from 0 to 100.");
}

function parseProxyProtocol(text: string): 1 | 2 {
  if (text === "1" || text === "2") return text === "1" ? 1 : 2;
  throw new InvalidArgumentError("expected 1 or 2.");
}

/** Reads an IP address. */
export function parseIp(text: string): string {
  if (isIP(text) !== 0 && !text.includes("%")) return text;
  throw new InvalidArgumentError("expected an IP address.");
}

function parseServiceName(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw new InvalidArgumentError('expected up to 63 lower-case letters, digits and "-".');
}

/** The words of a list with commas. */
function wordsOf(text = ""): readonly string[] {
  return text.split(",").flatMap((word) => (word.trim() === "" ? [] : [word.trim()]));
}

/** Durations stay text: the registry reads them itself. */
function checkDuration(text: string): string {
  if (parseDuration(text) !== undefined) return text;
  throw new InvalidArgumentError('expected a duration such as "5s" or "500ms".');
}
