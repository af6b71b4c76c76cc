import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface CheckOptions extends ServerOptions {
  readonly output: string;
}

const DETAILS = `
Looks for what will stop the mesh or has stopped a part of it: certificates that end soon (30, 7 and 1 days before) or
were not renewed, proxies that refused their configuration or are lost.

Exit codes: 1 when something must be done, 3 when the control plane cannot be reached.

Examples:
  $ tulle check
  $ tulle check -o json | jq '.[] | select(.level == "error")'`;

/** `tulle check`: what must be done. */
export function registerCheck(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("check")
    .description("look for what stops the mesh or soon will: certificates, proxies")
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (options: CheckOptions) => {
      const client = await connect(options, context);
      const status = await client.status();
      const { problemsOf } = await import("../output/problems.js");
      const problems = problemsOf(status);
      context.out(
        isStructured(options.output)
          ? await renderStructured(options.output, problems)
          : problems.length === 0
            ? "nothing to do\n"
            : problems.map(({ level, text }) => `${level}: ${terminalText(text)}\n`).join(""),
      );
      exit(problems.some(({ level }) => level !== "notice") ? EXIT.failed : EXIT.ok);
    });
}
