import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface StatusOptions extends ServerOptions {
  readonly output: string;
}

const EXAMPLES = `
For each proxy and each discovery service: synced (runs the newest configuration), stale (was sent it and has not
answered yet), NACK (refused it and runs what it had before), - (asks for none).

Exit codes: 1 when a proxy refused its configuration, 3 when the control plane cannot be reached.

Examples:
  $ tulle status
  $ tulle status -o json | jq '.proxies[].types[] | select(.state == "nack")'`;

/** `tulle status`: how the mesh is. */
export function registerStatus(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("status")
    .description("show the control plane, its proxies and their configuration, and certificates")
    .addOption(outputOption(["table", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES)
    .action(async (options: StatusOptions) => {
      const client = await connect(options, context);
      const status = await client.status();
      const { expiryWarnings, statusReport, versionWarnings } = await import("../output/status-report.js");
      const { authorityWarnings } = await import("../output/authority-report.js");
      const { refusals } = await import("../resources/proxies.js");
      context.out(
        isStructured(options.output)
          ? await renderStructured(options.output, status)
          : statusReport(status, { server: client.server, colors: context.colors }),
      );
      const warnings = [
        ...expiryWarnings(status),
        ...versionWarnings(status),
        ...authorityWarnings(status).map(({ text }) => text),
      ];
      for (const warning of warnings) context.err(`tulle: warning: ${terminalText(warning)}\n`);
      exit(refusals(status).length > 0 ? EXIT.failed : EXIT.ok);
    });
}
