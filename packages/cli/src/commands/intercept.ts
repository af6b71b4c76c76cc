import { InvalidArgumentError, Option, type Command } from "commander";

import type { CliContext } from "../context.js";
import {
  backendNamed,
  BACKENDS,
  installedBackends,
  type Backend,
  type BackendName,
} from "../intercept/backend.js";
import { parseAccounts, parseNetworks, parsePorts, parsePortsOrAll } from "../intercept/rule-options.js";
import { chainsOf, type InterceptionRules } from "../intercept/rules.js";
import { parsePort } from "../options.js";

interface UpOptions {
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly dnsPort: number;
  readonly dns: boolean;
  readonly sidecarUser: readonly string[];
  readonly excludeUsers: readonly string[];
  readonly excludeGroups: readonly string[];
  readonly includePorts: readonly string[];
  readonly excludePorts: readonly string[];
  readonly includeNetworks: readonly string[];
  readonly excludeNetworks: readonly string[];
  /** Undefined: nothing inbound is redirected. Empty: every port is. */
  readonly includeInboundPorts?: readonly string[];
  readonly excludeInboundPorts: readonly string[];
  readonly includeInboundNetworks: readonly string[];
  readonly excludeInboundNetworks: readonly string[];
  readonly backend?: BackendName;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  # tulle intercept up                                     # outbound; the sidecar runs as user 1337
  # tulle intercept up --include-inbound-ports 9080        # and what other machines send to port 9080
  # tulle intercept up --sidecar-user tulle --exclude-ports 22,5432 --exclude-networks 10.1.0.0/16,fd00::/8
  $ tulle intercept up --dry-run                           # prints the rules, changes nothing
  # tulle intercept down

The sidecar runs as a user of its own: setpriv --reuid 1337 --regid 1337 --clear-groups tulle sidecar --intercept …
Inbound ports that are redirected answer only while the sidecar runs. Run it with --address, too.`;

/** `tulle intercept`: the kernel's rules that lead applications' connections to a sidecar (Linux, IPv4 and IPv6). */
export function registerIntercept(program: Command, context: CliContext): void {
  const command = program
    .command("intercept")
    .description(
      "redirect this machine's TCP connections and DNS to a sidecar (Linux, nftables or iptables, as root)",
    )
    .addHelpText("after", EXAMPLES);
  registerInterceptUp(command, context);
  command
    .command("down")
    .description("take the rules away; does nothing where there are none")
    .option("--dry-run", "print what would be run")
    .action(async ({ dryRun }: { readonly dryRun?: boolean }) => {
      for (const backend of await installedBackends()) {
        if (dryRun === true) context.out(await backend.removal());
        else await backend.down();
      }
    });
  command
    .command("show")
    .description("print the rules in force")
    .action(() => show(context));
}

function registerInterceptUp(command: Command, context: CliContext): void {
  const list = (
    flags: string,
    description: string,
    parse: (text: string) => readonly string[],
    shownDefault = "none",
  ): Option => new Option(flags, description).argParser(parse).default([], shownDefault);
  const port = (flags: string, description: string, value: number): Option =>
    new Option(flags, description).argParser(parseFixedPort).default(value);
  command
    .command("up")
    .description("set the rules up, in place of former ones")
    .addOption(port("--outbound-port <port>", "the sidecar's outbound port", 15_001))
    .addOption(port("--inbound-port <port>", "the sidecar's inbound port", 15_006))
    .addOption(port("--dns-port <port>", "the sidecar's DNS port", 15_053))
    .option("--no-dns", "leave DNS alone")
    .addOption(
      new Option("--sidecar-user <user>", "who the sidecar runs as, by name or id")
        .argParser(parseAccounts)
        .default(["1337"], "1337"),
    )
    .addOption(list("--exclude-users <list>", "users whose connections are left alone", parseAccounts))
    .addOption(list("--exclude-groups <list>", "groups whose connections are left alone", parseAccounts))
    .addOption(list("--include-ports <list>", "only these destination ports", parsePorts, "all"))
    .addOption(list("--exclude-ports <list>", "destination ports that are left alone", parsePorts))
    .addOption(list("--include-networks <list>", "only these destinations", parseNetworks, "all"))
    .addOption(list("--exclude-networks <list>", "destinations that are left alone", parseNetworks))
    .addOption(
      new Option(
        "--include-inbound-ports <list>",
        'ports of this machine that others\' connections are redirected from, or "all" (default: none)',
      ).argParser(parsePortsOrAll),
    )
    .addOption(
      new Option("--exclude-inbound-ports <list>", "inbound ports that are left alone")
        .argParser(parsePorts)
        .default(["22"], "22"),
    )
    .addOption(list("--include-inbound-networks <list>", "only these clients", parseNetworks, "all"))
    .addOption(list("--exclude-inbound-networks <list>", "clients that are left alone", parseNetworks))
    .addOption(
      new Option(
        "--backend <tool>",
        "what sets the rules up (default: nft, or iptables where that is missing)",
      ).choices(BACKENDS),
    )
    .option("--dry-run", "print the rules, change nothing")
    .action((options: UpOptions) => up(options, context));
}

async function up(options: UpOptions, context: CliContext): Promise<void> {
  const chains = chainsOf(rulesOf(options));
  if (options.dryRun === true) {
    context.out(backendNamed(options.backend ?? "nft").print(chains));
    return;
  }
  const installed = await installedBackends();
  const chosen = options.backend === undefined ? installed[0] : backendNamed(options.backend);
  await chosen.up(chains);
  // Former rules of the other tool would redirect beside these.
  for (const other of installed) if (other !== chosen) await other.down();
}

function rulesOf(options: UpOptions): InterceptionRules {
  return {
    outboundPort: options.outboundPort,
    dnsPort: options.dns ? options.dnsPort : undefined,
    excludeUsers: [...options.sidecarUser, ...options.excludeUsers],
    excludeGroups: options.excludeGroups,
    outbound: options,
    inbound:
      options.includeInboundPorts === undefined
        ? undefined
        : {
            port: options.inboundPort,
            includePorts: options.includeInboundPorts,
            excludePorts: options.excludeInboundPorts,
            includeNetworks: options.includeInboundNetworks,
            excludeNetworks: options.excludeInboundNetworks,
          },
  };
}

async function show(context: CliContext): Promise<void> {
  const shown = await Promise.all((await installedBackends()).map((backend: Backend) => backend.show()));
  context.out(shown.join("") || "nothing is intercepted on this machine\n");
}

function parseFixedPort(text: string): number {
  const port = parsePort(text);
  if (port === 0) throw new InvalidArgumentError("expected the port that the sidecar listens on.");
  return port;
}
