import { MeshError } from "@tulle/base";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { terminalText } from "../output/terminal-text.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface DescribeCommandOptions extends ServerOptions {
  readonly namespace?: string;
}

const EXAMPLES = `
Shows what the object says, which proxies run it and which refused it (in their words), and its events.

Examples:
  $ tulle describe virtualservice reviews
  $ tulle describe vs/reviews dr/reviews -n shop`;

/** `tulle describe`: all that is known of some objects. */
export function registerDescribe(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("describe")
    .description("show all that is known of objects: content, state in the proxies, events")
    .argument("<words...>", "KIND NAME..., or KIND/NAME...")
    .option("-n, --namespace <name>", "namespace", "default")
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (words: readonly string[], options: DescribeCommandOptions) => {
    const usage = (message: string): never => command.error(`error: ${message}`);
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
