import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface CaOptions extends ServerOptions {
  readonly output: string;
}

const STATUS_DETAILS = `
A root is "next" while workloads learn to trust it, "active" while it signs, "retiring" until the last certificate that
it signed is over. An "issuer" signs under a root that is not the mesh's own.

Examples:
  $ tulle ca status
  $ tulle ca status -o json | jq '.certificates[].notAfter'`;

const ROTATE_DETAILS = `
Makes the next root now. It is handed out first and signs once every workload has acknowledged it; the old one stays
trusted until the last certificate that it signed has ended. Follow it with "tulle ca status".`;

/** `tulle ca`: the certificate authority. */
export function registerCa(program: Command, context: CliContext, exit: (code: number) => void): void {
  const ca = program.command("ca").description("show the certificate authority, or replace its root");
  ca.command("status")
    .description("show the roots, where they are in their life, and who does not trust them yet")
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", STATUS_DETAILS)
    .action(async (options: CaOptions) => {
      const client = await connect(options, context);
      const status = await client.status();
      const { authorityReport, authorityWarnings } = await import("../output/authority-report.js");
      context.out(
        isStructured(options.output)
          ? await renderStructured(options.output, status.authority)
          : authorityReport(status),
      );
      for (const { text } of authorityWarnings(status))
        context.err(`tulle: warning: ${terminalText(text)}\n`);
      exit(EXIT.ok);
    });
  ca.command("rotate")
    .description("replace the root now, without an interruption")
    .addOption(serverOption(context))
    .addHelpText("after", ROTATE_DETAILS)
    .action(async (options: ServerOptions) => {
      const client = await connect(options, context);
      await client.rotateRoot();
      context.out(
        "the next root is being handed out; it signs once every workload trusts it: tulle ca status\n",
      );
      exit(EXIT.ok);
    });
}
