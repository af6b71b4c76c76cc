import { ALL_NAMESPACES } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { terminalText } from "../output/terminal-text.js";
import { accessOf, rootsOf, type ServerOptions } from "../resources/connection.js";

const DETAILS = `
Checks the token and keeps it, with the roots that the control plane is trusted by, in
$XDG_CONFIG_HOME/tulle/credentials.json (0600): later commands find both there.

Examples:
  $ tulle login --server https://mesh.example:8500 --ca-fingerprint 3f:…:9a --token-file admin-token
  $ TULLE_TOKEN=tulle_… tulle login --server https://mesh.example:8500 --ca-file mesh-root.pem`;

/** `tulle login`: remembers a token for a control plane. */
export function registerLogin(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("login")
    .description("check a token and keep it for later commands")
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (options: ServerOptions) => {
      const { createClient } = await import("@tulle/client");
      const { findCredentials, keepCredentials } = await import("../connection/credentials.js");
      const { server } = options;
      const found = await findCredentials(server, options, context.environment);
      if (found.token === undefined) {
        throw new MeshError(
          "invalid",
          "CLI_NO_TOKEN",
          "say which token to log in with: --token-file FILE or $TULLE_TOKEN",
        );
      }
      const ca = server.startsWith("https:") ? await rootsOf(server, found) : undefined;
      const credentials = { token: found.token, ...(ca === undefined ? {} : { ca }) };
      const client = createClient({ server, clock: context.clock, ...(await accessOf(server, credentials)) });
      const { name, role, namespaces } = await client.whoAmI();
      const file = await keepCredentials(server, credentials, context.environment);
      const where = namespaces === ALL_NAMESPACES ? "everywhere" : `in ${namespaces.join(", ")}`;
      context.out(
        `${terminalText(`logged in at ${server} as ${name}: ${role} ${where}; kept in ${file}`)}\n`,
      );
      exit(EXIT.ok);
    });
}
