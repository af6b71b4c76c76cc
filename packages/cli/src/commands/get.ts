import type { Kind } from "@tulle/api";
import type { Client } from "@tulle/client";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { GET_FORMATS, outputOption, type GetFormat } from "../output/format.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";
import type { Asked } from "../resources/get-objects.js";
import { aborted, endingSignal } from "../signals.js";

interface GetOptions extends ServerOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly output: GetFormat;
  readonly watch?: boolean;
  readonly selector?: string;
}

const EXAMPLES = `
Kinds are those that users write, such as virtualservices (vs) and destinationrules (dr), and what the control plane
knows: services (svc), instances (inst) and proxies (px).

Examples:
  $ tulle get virtualservices
  $ tulle get vs,dr -A
  $ tulle get vs reviews -o yaml
  $ tulle get vs -l team=shop -w
  $ tulle get instances reviews -o wide`;

/** `tulle get`: objects, and what the registry and the proxies are. */
export function registerGet(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("get")
    .description("list objects, services, instances or proxies")
    .argument("<words...>", "KIND[,KIND...] [NAME...], or KIND/NAME...")
    .option("-n, --namespace <name>", 'namespace (default: "default")')
    .option("-A, --all-namespaces", "of all namespaces")
    .addOption(outputOption(GET_FORMATS))
    .option("-w, --watch", "go on with every change")
    .option("-l, --selector <labels>", "only objects with these labels, such as app=web,tier!=test")
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (words: readonly string[], options: GetOptions) => {
    const usage = (message: string): never => command.error(`error: ${message}`);
    if (options.allNamespaces === true && options.namespace !== undefined) usage("give -n or -A, not both");
    const namespace = options.allNamespaces === true ? undefined : (options.namespace ?? "default");
    const targets = await readTargets(words, options, namespace, usage);
    const client = await connect(options, context);
    if (options.watch === true) return watch(client, targets, options, namespace, context, usage);
    const { getObjects } = await import("../resources/get-objects.js");
    const labels = options.selector === undefined ? {} : { labelSelector: options.selector };
    exit(await getObjects(client, { asked: targets, namespace, output: options.output, ...labels }, context));
  });
}

interface Target extends Asked {
  /** Undefined for what is no object. */
  readonly kind: Kind | undefined;
}

async function readTargets(
  words: readonly string[],
  options: GetOptions,
  namespace: string | undefined,
  usage: (message: string) => never,
): Promise<readonly Target[]> {
  const { kindsNamed, knownKinds, parseSelections } = await import("../resources/selection.js");
  const { findView, VIEWS } = await import("../resources/views.js");
  const { listObjects } = await import("../resources/object-listing.js");
  const parsed = parseSelections(words);
  const selections = typeof parsed === "string" ? usage(parsed) : parsed;
  return selections.flatMap(({ word, names }): readonly Target[] => {
    if (names.length > 0 && options.selector !== undefined) return usage("give names or -l, not both");
    const view = findView(word);
    if (view !== undefined) {
      if (options.selector !== undefined) return usage(`-l selects objects: ${view.plural} have no labels`);
      return [{ kind: undefined, names, list: view.list }];
    }
    const kinds = kindsNamed(word);
    if (kinds.length === 0) {
      const views = VIEWS.map(({ plural }) => plural).join(", ");
      return usage(`unknown kind ${word}: known are ${knownKinds()}; ${views}`);
    }
    return kinds.map((kind) => {
      if (names.length > 0 && namespace === undefined && kind.scope === "Namespaced") {
        return usage("a name is one in a namespace: give -n, not -A");
      }
      return { kind, names, list: (client, query) => listObjects(client, kind, query) };
    });
  });
}

async function watch(
  client: Client,
  targets: readonly Target[],
  options: GetOptions,
  namespace: string | undefined,
  context: CliContext,
  usage: (message: string) => never,
): Promise<void> {
  const [target, ...more] = targets;
  if (target?.kind === undefined || more.length > 0 || target.names.length > 1) {
    return usage("-w watches the objects of one kind, or one of them");
  }
  const { watchObjects } = await import("../resources/watch-objects.js");
  const { kind, names } = target;
  const ending = endingSignal();
  const controller = new AbortController();
  void Promise.race([ending, aborted(context.unread)]).then(() => controller.abort());
  try {
    await watchObjects(
      client,
      {
        kind,
        namespace,
        name: names[0],
        output: options.output,
        signal: controller.signal,
        ...(options.selector === undefined ? {} : { labelSelector: options.selector }),
      },
      context,
    );
  } finally {
    ending[Symbol.dispose]();
  }
}
