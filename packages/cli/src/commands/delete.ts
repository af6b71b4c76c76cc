import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { collect } from "../options.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface DeleteCommandOptions extends ServerOptions {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly namespace?: string;
  readonly ignoreNotFound?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  $ tulle delete virtualservice reviews ratings -n shop
  $ tulle delete vs/reviews dr/reviews
  $ tulle delete --ignore-not-found -f canary.yaml`;

/** `tulle delete`: objects by name, or all that files name. */
export function registerDelete(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("delete")
    .description("delete objects, by name or as files name them")
    .argument("[words...]", "KIND NAME..., or KIND/NAME...")
    .option("-f, --filename <path>", "file, directory, or - for stdin; repeatable", collect(String))
    .option("-R, --recursive", "directories below directories too")
    .option("-n, --namespace <name>", 'namespace (default: "default")')
    .option("--ignore-not-found", "what is not there any more is fine")
    .option("--dry-run", "say what would be deleted")
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (words: readonly string[], options: DeleteCommandOptions) => {
    const usage = (message: string): never => command.error(`error: ${message}`);
    const behaviour = { dryRun: options.dryRun === true, ignoreNotFound: options.ignoreNotFound === true };
    const { filename: filenames } = options;
    if (words.length > 0 === (filenames !== undefined)) usage("say KIND NAME, or -f FILE");
    const { deleteNamed, deleteWritten } = await import("../resources/delete-objects.js");
    if (filenames !== undefined) {
      const files = {
        filenames,
        recursive: options.recursive === true,
        namespace: options.namespace,
        stdin: context.stdin,
      };
      exit(await deleteWritten(await connect(options, context), { ...behaviour, ...files }, context));
      return;
    }
    const { kindsNamed, knownKinds, parseSelections } = await import("../resources/selection.js");
    const parsed = parseSelections(words);
    const selections = typeof parsed === "string" ? usage(parsed) : parsed;
    const namespace = options.namespace ?? "default";
    const objects = selections.flatMap(({ word, names }) => {
      const [kind, ...more] = kindsNamed(word);
      if (kind === undefined || more.length > 0)
        return usage(`unknown kind ${word}: known are ${knownKinds()}`);
      if (names.length === 0) return usage(`say which ${kind.plural} to delete`);
      return names.map((name) => ({ kind, name, namespace }));
    });
    exit(await deleteNamed(await connect(options, context), objects, behaviour, context));
  });
}
