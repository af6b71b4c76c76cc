import { MeshError } from "@tulle/base";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface DescribeCommandOptions extends ServerOptions {
  readonly namespace?: string;
  readonly from?: string;
  readonly label: readonly string[];
  readonly output: "text" | "json" | "yaml";
}

/** Words for what is no object, but has policies. */
const SERVICE_WORDS: readonly string[] = ["services", "service", "svc"];

const EXAMPLES = `
Shows what the object says, which proxies run it and which refused it (in their words), and its events. Of a service it
shows what holds for calls to it: whose routes, whose traffic policy, and what its own sidecars accept.

Examples:
  $ tulle describe service reviews --from shop
  $ tulle describe service api.example.com -o json
  $ tulle describe virtualservice reviews
  $ tulle describe vs/reviews dr/reviews -n shop`;

/** `tulle describe`: all that is known of some objects. */
export function registerDescribe(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("describe")
    .description("show all that is known of objects: content, state in the proxies, events")
    .argument("<words...>", "KIND NAME..., or KIND/NAME...; or service NAME...")
    .option("-n, --namespace <name>", "namespace", "default")
    .option("--from <namespace>", "of a service: the clients' namespace (default: the service's)")
    .option("--label <key=value>", "of a service: a label of the clients; repeatable", collect(String), [])
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (words: readonly string[], options: DescribeCommandOptions) => {
    const usage = (message: string): never => command.error(`error: ${message}`);
    const services = servicesNamed(words);
    if (services !== undefined) {
      if (services.length === 0) usage('say which service; "tulle get services" lists them');
      return describeServices(services, options, context, exit);
    }
    if (options.output !== "text") usage('-o is for services; "tulle get -o" prints objects');
    const { kindsNamed, knownKinds, parseSelections } = await import("../resources/selection.js");
    const parsed = parseSelections(words);
    const selections = typeof parsed === "string" ? usage(parsed) : parsed;
    const objects = selections.flatMap(({ word, names }) => {
      const [kind, ...more] = kindsNamed(word);
      if (kind === undefined || more.length > 0)
        return usage(`unknown kind ${word}: known are ${knownKinds()}`);
      if (names.length === 0)
        return usage(`say which of the ${kind.plural}; "tulle get ${kind.plural}" lists them`);
      return names.map((name) => ({ kind, name }));
    });
    const { describeObject } = await import("../resources/describe-object.js");
    const client = await connect(options, context);
    const style = { now: context.clock.now(), colors: context.colors };
    let missing = 0;
    let shown = 0;
    for (const { kind, name } of objects) {
      try {
        const object = await client.resources.get(kind, { namespace: options.namespace ?? "default", name });
        const text = await describeObject(client, kind, object, style);
        context.out(shown++ === 0 ? text : `\n\n${text}`);
      } catch (thrown) {
        if (!(thrown instanceof MeshError) || thrown.kind !== "not-found") throw thrown;
        missing++;
        context.err(`tulle: ${terminalText(thrown.message)}\n`);
      }
    }
    exit(missing === 0 ? EXIT.ok : EXIT.notFound);
  });
}

/** Names of services that are asked for; undefined when the words are about objects. */
function servicesNamed(words: readonly string[]): readonly string[] | undefined {
  const [first = "", ...names] = words;
  if (SERVICE_WORDS.includes(first.toLowerCase())) return names;
  const parts = words.map((word) => word.split("/"));
  const all = parts.every(
    ([kind = "", name]) => SERVICE_WORDS.includes(kind.toLowerCase()) && name !== undefined,
  );
  return all ? parts.map(([, name = ""]) => name) : undefined;
}

async function describeServices(
  names: readonly string[],
  options: DescribeCommandOptions,
  context: CliContext,
  exit: (code: number) => void,
): Promise<void> {
  const { describeService } = await import("../resources/describe-service.js");
  const client = await connect(options, context);
  const namespace = options.namespace ?? "default";
  const labels = Object.fromEntries(
    options.label.map((text) => [text.split("=")[0] ?? "", text.slice(text.indexOf("=") + 1)]),
  );
  let unknown = 0;
  let shown = 0;
  for (const host of names) {
    const report = await client.effectivePolicy({ host, namespace, from: options.from ?? namespace, labels });
    if (report.source === undefined && report.routes === undefined) unknown++;
    const text = isStructured(options.output)
      ? await renderStructured(options.output, report)
      : await describeService(report);
    context.out(shown++ === 0 || isStructured(options.output) ? text : `\n\n${text}`);
  }
  exit(unknown === 0 ? EXIT.ok : EXIT.notFound);
}
