import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { terminalText } from "../output/terminal-text.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

const DETAILS = `
Asks a running sidecar, through the control plane, how much it logs, or changes that until it ends. All of its threads
follow.

Examples:
  $ tulle log-level reviews-1.default
  $ tulle log-level reviews-1.default debug`;

/** `tulle log-level`: how much a running sidecar logs. */
export function registerLogLevel(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("log-level")
    .description("show or change how much a running sidecar logs")
    .argument("<proxy>", 'name of the proxy, as "tulle get proxies" shows it')
    .argument("[level]", "debug, info, warn or error")
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (proxy: string, level: string | undefined, options: ServerOptions) => {
      const client = await connect(options, context);
      const answer = await client.logLevel(proxy, level);
      context.out(`${terminalText(answer.level)}\n`);
      exit(EXIT.ok);
    });
}
