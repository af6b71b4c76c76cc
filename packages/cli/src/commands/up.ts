import { MeshError, parseDuration } from "@tulle/base";
import type { AuditSink, ControlPlaneOptions } from "@tulle/control";
import { InvalidArgumentError, Option, type Command } from "commander";

import { cliLogger, type CliContext } from "../context.js";
import { addIdentityFlags, identityOptions, type IdentityFlags } from "../identity-options.js";
import { collect, parsePort } from "../options.js";
import { readyOptions } from "../command.js";
import { announceReady, type ReadyTarget } from "../ready.js";
import { endingSignal } from "../signals.js";
import { stateDirectory } from "../state-directory.js";

interface UpOptions extends ReadyTarget, IdentityFlags {
  readonly dataDir?: string;
  readonly inMemory?: boolean;
  readonly listen: string;
  readonly requireLogin?: boolean;
  readonly host?: readonly string[];
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly adminTokenFile?: string;
  readonly resetAdminToken?: boolean;
  readonly auditLog?: string;
  readonly auditLogMaxSize: number;
  readonly httpPort: number;
  readonly dnsPort: number;
  readonly xdsPort: number;
  readonly plaintextXdsPort?: number;
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  readonly protectThreshold?: number;
  readonly reconcileInterval?: number;
  readonly jwksBlockedCidrs: readonly string[];
  readonly jwksAllowedCidrs: readonly string[];
  readonly pathNormalization: (typeof PATH_NORMALIZATIONS)[number];
  readonly defaultHttpRetryPolicy?: string;
  readonly defaultInboundHttpRetryPolicy?: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const PATH_NORMALIZATIONS = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;

const EXAMPLES = `
Examples:
  $ tulle up
  $ tulle up --data-dir ./mesh
  $ tulle up --default-http-retry-policy '{"attempts": 3, "retryOn": "connect-failure,503"}'
  $ tulle up --listen 0.0.0.0 --host mesh.example --audit-log audit.jsonl
  $ tulle up --in-memory --http-port 0 --dns-port 0 --xds-port 0     # free ports, for tests
  $ kubectl --server http://127.0.0.1:8500 get virtualservices -A`;

/** `tulle up`: a control plane. */
export function registerUp(program: Command, context: CliContext): void {
  const command = program
    .command("up")
    .description("start a control plane: registry, configuration, certificates, xDS and DNS")
    .option("--data-dir <dir>", "where everything is kept (default: $XDG_STATE_HOME/tulle/control-plane)")
    .option("--in-memory", "keep nothing after the end")
    .option(
      "--listen <address>",
      "address to listen on; beyond loopback callers need TLS and a token (docs/access.md)",
      "127.0.0.1",
    )
    .option("--require-login", "TLS and a token on loopback too")
    .addOption(
      new Option(
        "--host <name>",
        "name or address that others reach the control plane by; repeat for more",
      ).argParser(collect(String)),
    )
    .option(
      "--tls-cert-file <file>",
      "certificate of the HTTP APIs, PEM (default: one of the mesh's authority)",
    )
    .option("--tls-key-file <file>", "its key, PEM")
    .option(
      "--admin-token-file <file>",
      "where the first admin's token is written (default: in the data directory)",
    )
    .option("--reset-admin-token", "make a new first admin's token, for whoever has lost theirs")
    .option(
      "--audit-log <sink>",
      '"stdout" or a file: every write and denial, one JSON object a line (default: none)',
    )
    .addOption(
      new Option("--audit-log-max-size <MiB>", "the file is begun anew then; five older ones are kept")
        .argParser(parseMebibytes)
        .default(100),
    )
    .addOption(
      new Option("--http-port <port>", "HTTP APIs; 0 picks a free port").argParser(parsePort).default(8500),
    )
    .addOption(new Option("--dns-port <port>", "DNS, UDP and TCP").argParser(parsePort).default(8600))
    .addOption(
      new Option("--xds-port <port>", "xDS and certificates over TLS").argParser(parsePort).default(15012),
    )
    .addOption(
      new Option(
        "--plaintext-xds-port <port>",
        "xDS without TLS for proxyless gRPC clients in development, on loopback (default: none)",
      ).argParser(parsePort),
    )
    .addOption(
      new Option(
        "--outbound-traffic-policy <mode>",
        "what sidecars do with redirected connections to nowhere that the mesh knows",
      )
        .choices(["ALLOW_ANY", "REGISTRY_ONLY"])
        .default("ALLOW_ANY"),
    )
    .addOption(
      new Option(
        "--protect-threshold <share>",
        "keep a service's silent instances when less than this share of them is heard of; 0: never (default: 0.2)",
      ).argParser(parseShare),
    )
    .addOption(
      new Option(
        "--reconcile-interval <duration>",
        "how often to compare what each proxy holds with what it was sent; 0s: never (default: 60s)",
      ).argParser(parseInterval),
    )
    .addOption(
      new Option(
        "--jwks-blocked-cidrs <blocks>",
        "where keys of issuers of tokens are not fetched, beside loopback and link-local: 10.0.0.0/8,…",
      )
        .argParser(parseList)
        .default([], "none"),
    )
    .addOption(
      new Option("--jwks-allowed-cidrs <blocks>", "… and where they are all the same: 127.0.0.1/32,…")
        .argParser(parseList)
        .default([], "none"),
    )
    .addOption(
      new Option("--path-normalization <mode>", "how paths are brought into one form before rules match them")
        .choices(PATH_NORMALIZATIONS)
        .default("BASE"),
    )
    .option(
      "--default-http-retry-policy <json>",
      "retries of routes that say nothing of them, written as in a VirtualService (default: two, of what is safe)",
    )
    .option(
      "--default-inbound-http-retry-policy <json>",
      "retries of sidecars towards their applications, written likewise; {} for none (default: two, of what never arrived)",
    )
    .addOption(new Option("--log-level <level>").choices(["debug", "info", "warn", "error"]).default("info"))
    .addHelpText("after", EXAMPLES);
  addIdentityFlags(command);
  for (const option of readyOptions()) command.addOption(option);
  command.action((options: UpOptions) => up(options, context));
}

async function up(options: UpOptions, context: CliContext): Promise<void> {
  const [{ createRotatingFile, startControlPlane }, { readHttpRetry }] = await Promise.all([
    import("@tulle/control"),
    import("@tulle/api"),
  ]);
  const retries = options.defaultHttpRetryPolicy;
  const inboundRetries = options.defaultInboundHttpRetryPolicy;
  const ending = endingSignal(options.endWithFd);
  const dataDirectory = options.dataDir ?? stateDirectory(context.environment, "control-plane");
  const control = await startControlPlane({
    ...(options.inMemory === true ? {} : { dataDirectory }),
    listenAddress: options.listen,
    requireLogin: options.requireLogin === true,
    hosts: options.host ?? [],
    ...httpsCertificate(options),
    ...(options.adminTokenFile === undefined ? {} : { adminTokenFile: options.adminTokenFile }),
    resetAdminToken: options.resetAdminToken === true,
    ...auditSink(options, context, createRotatingFile),
    httpPort: options.httpPort,
    dnsPort: options.dnsPort,
    xdsPort: options.xdsPort,
    ...identityOptions(options),
    pathNormalization: options.pathNormalization,
    ...(options.plaintextXdsPort === undefined ? {} : { plaintextXdsPort: options.plaintextXdsPort }),
    ...(options.protectThreshold === undefined ? {} : { protectThreshold: options.protectThreshold }),
    ...(options.reconcileInterval === undefined ? {} : { reconcileIntervalMs: options.reconcileInterval }),
    outboundTrafficPolicy: options.outboundTrafficPolicy,
    jwksBlockedCidrs: options.jwksBlockedCidrs,
    jwksAllowedCidrs: options.jwksAllowedCidrs,
    ...(retries === undefined
      ? {}
      : { defaultHttpRetryPolicy: readHttpRetry(retries, "--default-http-retry-policy") }),
    ...(inboundRetries === undefined
      ? {}
      : {
          defaultInboundHttpRetryPolicy: readHttpRetry(inboundRetries, "--default-inbound-http-retry-policy"),
        }),
    logger: cliLogger(context, options.logLevel),
    random: context.random,
  });
  const { http, dns, xds, xdsPlaintext } = control.info.addresses;
  const plaintext = xdsPlaintext === undefined ? "" : ` xds-plaintext=${xdsPlaintext}`;
  const data = options.inMemory === true ? "memory" : dataDirectory;
  context.out(
    `tulle ${control.info.version} is up: http=${control.login ? "https" : "http"}://${http} dns=${dns} xds=${xds}${plaintext} data=${data}\n`,
  );
  announceReady(options, { pid: process.pid, addresses: control.info.addresses });
  const signal = await ending;
  context.err(`tulle: ${signal}, stopping; proxies go on with what they have\n`);
  await control.close();
}

function httpsCertificate({
  tlsCertFile,
  tlsKeyFile,
}: UpOptions): Pick<ControlPlaneOptions, "httpsCertificate"> {
  if (tlsCertFile === undefined && tlsKeyFile === undefined) return {};
  if (tlsCertFile !== undefined && tlsKeyFile !== undefined)
    return { httpsCertificate: { certificateFile: tlsCertFile, keyFile: tlsKeyFile } };
  throw new MeshError("invalid", "CLI_TLS_FILES", "--tls-cert-file and --tls-key-file go together");
}

function auditSink(
  { auditLog: path, auditLogMaxSize }: UpOptions,
  context: CliContext,
  createRotatingFile: (options: { path: string; maxBytes: number }) => AuditSink,
): Pick<ControlPlaneOptions, "auditSink"> {
  if (path === undefined) return {};
  if (path === "stdout") return { auditSink: (lines) => Promise.resolve(context.out(lines)) };
  return { auditSink: createRotatingFile({ path, maxBytes: auditLogMaxSize * 1024 * 1024 }) };
}

function parseMebibytes(text: string): number {
  const size = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (size >= 1) return size;
  throw new InvalidArgumentError("expected a whole number of MiB, at least 1.");
}

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 0)
    throw new InvalidArgumentError('expected a duration such as "60s"; "0s": never.');
  return ms;
}

function parseList(text: string): readonly string[] {
  return text.split(",").filter((item) => item !== "");
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() === "" || !(share >= 0 && share <= 1)) {
    throw new InvalidArgumentError("expected a share from 0 to 1, such as 0.2.");
  }
  return share;
}
