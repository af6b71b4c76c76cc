import { MeshError, VERSION } from "@tulle/base";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface VersionOptions extends ServerOptions {
  readonly client?: boolean;
  readonly output: string;
}

const EXAMPLES = `
Examples:
  $ tulle version
  $ tulle version --client -o json`;

/** `tulle version`: of this program and of the control plane, when there is one. */
export function registerVersion(program: Command, context: CliContext): void {
  program
    .command("version")
    .description("show the versions of this program and of the control plane")
    .option("--client", "of this program only: no call is made")
    .addOption(outputOption(["table", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES)
    .action((options: VersionOptions) => version(options, context));
}

async function version(options: VersionOptions, context: CliContext): Promise<void> {
  const own = VERSION;
  const server = options.client === true ? undefined : await serverVersion(options, context);
  if (isStructured(options.output)) {
    const versions = {
      client: own,
      node: process.versions.node,
      ...(server === undefined ? {} : { server }),
    };
    context.out(await renderStructured(options.output, versions));
    return;
  }
  context.out(`tulle ${own} (Node.js ${process.versions.node})\n`);
  if (server !== undefined) context.out(`control plane ${server}\n`);
}

/** Undefined, with a word on stderr, when there is no control plane: that is no failure here. */
async function serverVersion(options: ServerOptions, context: CliContext): Promise<string | undefined> {
  try {
    return (await (await connect(options, context)).info()).version;
  } catch (thrown) {
    if (!(thrown instanceof MeshError) || !["unavailable", "timeout"].includes(thrown.kind)) throw thrown;
    context.err(`tulle: ${thrown.message}\n`);
    return undefined;
  }
}
