import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface ApplyOptions extends ServerOptions {
  readonly filename: readonly string[];
  readonly recursive?: boolean;
  readonly namespace?: string;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Everything is checked by the control plane; an object that it refuses is listed with all that is wrong in it, and keeps
no other from being applied. Works on the same objects as "kubectl apply".

Examples:
  $ tulle apply -f canary.yaml
  $ tulle apply -R -f config/ -f extra.yaml -n shop
  $ generate-config | tulle apply --dry-run -f -`;

/** `tulle apply`: makes objects be as files say. */
export function registerApply(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("apply")
    .description("create or change objects as files say")
    .requiredOption("-f, --filename <path>", "file, directory, or - for stdin; repeatable", collect(String))
    .option("-R, --recursive", "directories below directories too")
    .option("-n, --namespace <name>", 'namespace of objects that name none (default: "default")')
    .option("--dry-run", "let the control plane check everything and store nothing")
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES)
    .action(async (options: ApplyOptions) => {
      const { applyObjects } = await import("../resources/apply-objects.js");
      const refused = await applyObjects(
        await connect(options, context),
        {
          filenames: options.filename,
          recursive: options.recursive === true,
          namespace: options.namespace,
          dryRun: options.dryRun === true,
          stdin: context.stdin,
        },
        context,
      );
      exit(refused === 0 ? EXIT.ok : EXIT.failed);
    });
}
