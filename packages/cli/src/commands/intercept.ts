import { InvalidArgumentError, Option, type Command } from "commander";

import type { CliContext } from "../context.js";
import { applyScript, failed, nft } from "../intercept/nft.js";
import { parseAccounts, parseNetworks, parsePorts } from "../intercept/rule-options.js";
import { removalScript, setupScript, TABLE } from "../intercept/rules.js";
import { parsePort } from "../options.js";

interface UpOptions {
  readonly outboundPort: number;
  readonly dnsPort: number;
  readonly dns: boolean;
  readonly sidecarUser: readonly string[];
  readonly excludeUsers: readonly string[];
  readonly excludeGroups: readonly string[];
  readonly includePorts: readonly string[];
  readonly excludePorts: readonly string[];
  readonly includeNetworks: readonly string[];
  readonly excludeNetworks: readonly string[];
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  # tulle intercept up                                     # the sidecar runs as user 1337
  # tulle intercept up --sidecar-user tulle --exclude-ports 22,5432
  $ tulle intercept up --dry-run                           # prints the rules, changes nothing
  # tulle intercept down

The sidecar runs as a user of its own: setpriv --reuid 1337 --regid 1337 --clear-groups tulle sidecar --intercept …`;

/** `tulle intercept`: the kernel's rules that lead applications' connections to a sidecar (Linux, IPv4). */
export function registerIntercept(program: Command, context: CliContext): void {
  const command = program
    .command("intercept")
    .description("redirect this machine's TCP connections and DNS to a sidecar (Linux, nftables, as root)")
    .addHelpText("after", EXAMPLES);
  registerInterceptUp(command, context);
  command
    .command("down")
    .description("take the rules away; does nothing where there are none")
    .option("--dry-run", "print what would be run")
    .action(async ({ dryRun }: { readonly dryRun?: boolean }) => {
      if (dryRun === true) context.out(removalScript());
      else await applyScript(removalScript());
    });
  command
    .command("show")
    .description("print the rules in force")
    .action(() => show(context));
}

function registerInterceptUp(command: Command, context: CliContext): void {
  const list = (flags: string, description: string, parse: (text: string) => readonly string[]): Option =>
    new Option(flags, description).argParser(parse).default([], "none");
  command
    .command("up")
    .description("set the rules up, in place of former ones")
    .addOption(
      new Option("--outbound-port <port>", "the sidecar's outbound port")
        .argParser(parseFixedPort)
        .default(15_001),
    )
    .addOption(
      new Option("--dns-port <port>", "the sidecar's DNS port").argParser(parseFixedPort).default(15_053),
    )
    .option("--no-dns", "leave DNS alone")
    .addOption(
      new Option("--sidecar-user <user>", "who the sidecar runs as, by name or id")
        .argParser(parseAccounts)
        .default(["1337"], "1337"),
    )
    .addOption(list("--exclude-users <list>", "users whose connections are left alone", parseAccounts))
    .addOption(list("--exclude-groups <list>", "groups whose connections are left alone", parseAccounts))
    .addOption(list("--include-ports <list>", "only these destination ports (default: all)", parsePorts))
    .addOption(list("--exclude-ports <list>", "destination ports that are left alone", parsePorts))
    .addOption(list("--include-networks <list>", "only these destinations (default: all)", parseNetworks))
    .addOption(list("--exclude-networks <list>", "destinations that are left alone", parseNetworks))
    .option("--dry-run", "print the rules, change nothing")
    .action((options: UpOptions) => up(options, context));
}

async function up(options: UpOptions, context: CliContext): Promise<void> {
  const script = setupScript({
    ...options,
    dnsPort: options.dns ? options.dnsPort : undefined,
    excludeUsers: [...options.sidecarUser, ...options.excludeUsers],
  });
  if (options.dryRun === true) context.out(script);
  else await applyScript(script);
}

async function show(context: CliContext): Promise<void> {
  const { code, output, error } = await nft(["list", "table", ...TABLE.split(" ")]);
  if (code === 0) context.out(output);
  else if (error.includes("No such file")) context.out("nothing is intercepted on this machine\n");
  else throw failed(error);
}

function parseFixedPort(text: string): number {
  const port = parsePort(text);
  if (port === 0) throw new InvalidArgumentError("expected the port that the sidecar listens on.");
  return port;
}
