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

const REVOKE_DETAILS = `
Workloads refuse it within a second of being told, on connections that are open, too, and it is not renewed. A SPIFFE id may join again
with a new token. Where the roots are your own, revoke it there and put the list beside them as ca-crl.pem.

Examples:
  $ tulle ca revoke spiffe://cluster.local/ns/shop/sa/reviews
  $ tulle ca revoke 5E0B6C7C2C0E4C0A9C9C1A2F6D1B7E55`;

/** `tulle ca`: the certificate authority. */
export function registerCa(program: Command, context: CliContext, exit: (code: number) => void): void {
  const ca = program
    .command("ca")
    .description("show the certificate authority, replace its root, or take certificates back");
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
  ca.command("revoke")
    .description("take a certificate back, or all that an identity has")
    .argument("<serial number or SPIFFE id>")
    .addOption(serverOption(context))
    .addHelpText("after", REVOKE_DETAILS)
    .action(async (what: string, options: ServerOptions) => {
      const client = await connect(options, context);
      for (const { serialNumber, spiffeId } of await client.revoke(what))
        context.out(`revoked ${terminalText(serialNumber)} of ${terminalText(spiffeId)}\n`);
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
