import { findKind, readTraffic, type ProxyTraffic, type WireObject } from "@tulle/api";
import type { Client } from "@tulle/client";
import { MeshError } from "@tulle/base";
import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { renderYaml } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import type { WrittenPolicy } from "../policy/policy-object.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface WriteOptions extends ServerOptions {
  readonly namespace?: string;
  readonly dryRun?: boolean;
  readonly apply?: boolean;
}

interface AccessOptions extends WriteOptions {
  readonly to: string;
  readonly from?: readonly string[];
  readonly method?: readonly string[];
  readonly path?: readonly string[];
  readonly port?: readonly string[];
}

interface SuggestOptions extends WriteOptions {
  readonly service?: string;
  readonly scope?: boolean;
  readonly diff?: boolean;
}

const ACCESS_DETAILS = `
Prints the AuthorizationPolicy, or applies it with --apply. A source is a service (its service account of that name),
namespace:NAME, principal:ID, an address or a block such as 10.0.0.0/8. Once a service has an ALLOW policy, nobody else
may use it.

Examples:
  $ tulle policy allow --to reviews --from productpage --from namespace:admin
  $ tulle policy deny --to reviews --from 192.0.2.0/24 --apply
  $ tulle policy allow --to db --from reviews --port 5432 --dry-run --apply`;

const SUGGEST_DETAILS = `
First let sidecars observe their traffic for as long as it takes to see what is usual ("tulle policy observe"). Then a policy
for each service allows the callers, methods and paths that were seen; identifiers in paths are {*}. Nothing of the traffic
that was observed is denied by it. What policies refuse is not observed.

Review it, apply it as a dry run, look at envoy_http_rbac_shadow_denied, then apply it without --dry-run.

Exit codes: 1 when nothing was observed or a sidecar could not keep all of it, 3 when the control plane cannot be reached.

Examples:
  $ tulle policy observe
  $ tulle policy suggest > policies.yaml
  $ tulle policy suggest --service reviews --diff
  $ tulle policy suggest --dry-run --apply
  $ tulle policy suggest --scope
  $ tulle policy observe --stop`;

/** `tulle policy`: simple access lists, and policies made of what was observed. */
export function registerPolicy(program: Command, context: CliContext, exit: (code: number) => void): void {
  const policy = program
    .command("policy")
    .description("write authorization policies: access lists, and what observed traffic needs");
  for (const action of ["allow", "deny"] as const) {
    policy
      .command(action)
      .description(
        action === "allow"
          ? "let only these sources use a service, with what was allowed before"
          : "keep these sources from using a service",
      )
      .requiredOption("--to <service>", "the service")
      .option(
        "--from <source>",
        "SERVICE[.NAMESPACE], namespace:NAME, address or block; repeatable",
        collect(String),
      )
      .option("--method <name>", "only these methods; repeatable", collect(String))
      .option("--path <path>", "only these paths: exact, prefix*, or with {*}; repeatable", collect(String))
      .option("--port <number>", "only these ports of the workload; repeatable", collect(String))
      .option("-n, --namespace <name>", 'namespace of the service (default: "default")')
      .option("--dry-run", "a policy that is only told about")
      .option("--apply", "apply it instead of printing it")
      .addOption(serverOption(context))
      .addHelpText("after", ACCESS_DETAILS)
      .action(async (options: AccessOptions) => {
        const { accessPolicy } = await import("../policy/access-list.js");
        const list = accessPolicy({
          action: action === "allow" ? "ALLOW" : "DENY",
          service: options.to,
          namespace: options.namespace ?? "default",
          from: options.from ?? [],
          methods: options.method ?? [],
          paths: options.path ?? [],
          ports: options.port ?? [],
          dryRun: options.dryRun === true,
        });
        const written = checked(list);
        if (options.apply === true) await applyAll(await connect(options, context), [written], context);
        else context.out(await documents([written]));
        exit(EXIT.ok);
      });
  }
  policy
    .command("observe")
    .description("let sidecars observe who asks for what")
    .option("--stop", "no more, and forget what was observed")
    .addOption(serverOption(context))
    .action(async (options: ServerOptions & { readonly stop?: boolean }) => {
      const client = await connect(options, context);
      const answer = await client.traffic(options.stop !== true);
      warnSilent(answer.silent, context);
      const count = answer.proxies.length;
      const verb = options.stop === true ? "stopped observing" : "observe";
      context.out(`${count} ${count === 1 ? "sidecar" : "sidecars"} ${verb}\n`);
      exit(answer.silent.length === 0 ? EXIT.ok : EXIT.failed);
    });
  policy
    .command("suggest")
    .description("write policies that allow what was observed, and nothing else")
    .option("--service <name>", "only of this service")
    .option("-n, --namespace <name>", "only of this namespace (default: all)")
    .option("--scope", "Sidecars instead: only the hosts that workloads called are known to them")
    .option("--dry-run", "policies that are only told about")
    .option("--diff", "what differs from what is stored")
    .option("--apply", "apply them instead of printing them")
    .addOption(serverOption(context))
    .addHelpText("after", SUGGEST_DETAILS)
    .action(async (options: SuggestOptions) => exit(await suggest(options, context)));
}

async function suggest(options: SuggestOptions, context: CliContext): Promise<number> {
  const client = await connect(options, context);
  const answer = await client.traffic();
  const traffic = readTraffic(answer);
  warnSilent(answer.silent, context);
  const missing = warnIncomplete(traffic, context) || answer.silent.length > 0;
  const { namespace, service } = options;
  const { suggestPolicies } = await import("../policy/suggest-policies.js");
  const { suggestScopes } = await import("../policy/suggest-scopes.js");
  const observing = traffic.filter(({ since }) => since > 0);
  const made: readonly WrittenPolicy[] =
    options.scope === true
      ? suggestScopes(observing, namespace)
      : suggestPolicies(observing, { namespace, service, dryRun: options.dryRun === true });
  if (made.length === 0) {
    context.err(
      'tulle: nothing was observed; begin with "tulle policy observe", and let the mesh work for a while\n',
    );
    return EXIT.failed;
  }
  const written = made.map(checked);
  if (options.apply === true && missing) {
    context.err(
      "tulle: not applied: what could not be observed would be denied. Print it, complete it, and apply it with tulle apply\n",
    );
    return EXIT.failed;
  }
  if (options.apply === true) await applyAll(client, written, context);
  else if (options.diff === true) context.out(await difference(client, written));
  else context.out(headerOf(observing) + (await documents(written)));
  return missing ? EXIT.failed : EXIT.ok;
}

/** What was observed, since when, as comments. */
function headerOf(traffic: readonly ProxyTraffic[]): string {
  const since = Math.max(...traffic.map((one) => one.since));
  // One that was started again tells twice.
  const sidecars = new Set(traffic.map(({ proxy }) => proxy.id)).size;
  const edges = traffic.flatMap(({ inbound }) => inbound);
  const requests = edges.flatMap((edge) => edge.requests).reduce((sum, { count }) => sum + count, 0);
  const connections = edges.reduce((sum, edge) => sum + edge.connections, 0);
  return `# From ${requests} requests and ${connections} connections that ${sidecars} sidecars observed since ${new Date(since).toISOString()}.\n`;
}

function warnSilent(
  silent: readonly { readonly proxy: string; readonly reason: string }[],
  context: CliContext,
): void {
  for (const { proxy, reason } of silent)
    context.err(`tulle: warning: ${terminalText(`${proxy} did not say what it observed: ${reason}`)}\n`);
}

/** Whether something is missing. */
function warnIncomplete(traffic: readonly ProxyTraffic[], context: CliContext): boolean {
  let missing = false;
  for (const { proxy, since, complete } of traffic) {
    if (since > 0 && complete) continue;
    missing = true;
    const why =
      since === 0 ? "does not observe its traffic: tulle policy observe" : "observed more than it could keep";
    context.err(`tulle: warning: ${terminalText(`${proxy.id} ${why}`)}\n`);
  }
  return missing;
}

/** As the control plane takes it, with its fields in their order. */
function checked<Written extends WrittenPolicy>(written: Written): Written {
  const result = kindOf(written).check(written as unknown as Record<string, unknown>);
  if (result.ok) return { ...written, spec: result.spec as Written["spec"] };
  const text = result.violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new MeshError("invalid", "CLI_BAD_POLICY", text);
}

async function documents(written: readonly WrittenPolicy[]): Promise<string> {
  const texts = await Promise.all(written.map((one) => renderYaml(one)));
  return texts.join("---\n");
}

async function applyAll(
  client: Client,
  written: readonly WrittenPolicy[],
  context: CliContext,
): Promise<void> {
  for (const one of written) {
    const kind = kindOf(one);
    const { outcome, warnings } = await client.resources.apply(kind, one as unknown as WireObject);
    for (const warning of warnings) context.err(`tulle: warning: ${terminalText(warning)}\n`);
    context.out(`${kind.singular}/${one.metadata.name} ${outcome}\n`);
  }
}

function kindOf({ apiVersion, kind }: WrittenPolicy) {
  const found = findKind(apiVersion.split("/")[0] ?? "", kind);
  if (found === undefined) throw new MeshError("internal", "CLI_KIND", `there is no kind ${kind}`);
  return found;
}

/** Stored objects and suggested ones, line by line. */
async function difference(client: Client, written: readonly WrittenPolicy[]): Promise<string> {
  const { lineDiff } = await import("../policy/line-diff.js");
  let text = "";
  for (const one of written) {
    const { name, namespace } = one.metadata;
    const stored = await storedOf(client, one);
    const before = stored === undefined ? "" : await renderYaml(stored);
    const lines = lineDiff(before, await renderYaml(one));
    const changed = lines.some((line) => !line.startsWith(" "));
    const title = `${one.kind} ${namespace}/${name}: ${stored === undefined ? "new" : changed ? "changed" : "as it is"}`;
    text += `${title}\n${changed ? `${lines.join("\n")}\n` : ""}`;
  }
  return text;
}

/** What is stored, in the form of what is suggested. */
async function storedOf(client: Client, one: WrittenPolicy): Promise<unknown> {
  try {
    const { name, namespace } = one.metadata;
    const { metadata, spec } = (await client.resources.get(kindOf(one), { name, namespace })) as {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec?: unknown;
    };
    const dryRun = metadata?.annotations?.["istio.io/dry-run"];
    const annotations = dryRun === undefined ? {} : { annotations: { "istio.io/dry-run": dryRun } };
    return {
      apiVersion: one.apiVersion,
      kind: one.kind,
      metadata: { name, namespace, ...annotations },
      spec,
    };
  } catch (thrown) {
    if (MeshError.from(thrown).kind === "not-found") return undefined;
    throw thrown;
  }
}
