import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { renderYaml } from "../output/format.js";
import { rootsOf, type ServerOptions } from "../resources/connection.js";

const DETAILS = `
It holds the token that this command logs in with: keep it as safe as that.

Examples:
  $ tulle kubeconfig > mesh.kubeconfig && chmod 600 mesh.kubeconfig
  $ kubectl --kubeconfig mesh.kubeconfig get virtualservices -A`;

/** `tulle kubeconfig`: what kubectl needs to talk to the control plane. */
export function registerKubeconfig(
  program: Command,
  context: CliContext,
  exit: (code: number) => void,
): void {
  program
    .command("kubeconfig")
    .description("print a kubeconfig for kubectl, with your token")
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (options: ServerOptions) => {
      const { findCredentials } = await import("../connection/credentials.js");
      const { server } = options;
      const { token, ...trust } = await findCredentials(server, options, context.environment);
      const ca = server.startsWith("https:") ? await rootsOf(server, trust) : undefined;
      const name = "tulle";
      const config = {
        apiVersion: "v1",
        kind: "Config",
        clusters: [
          {
            name,
            cluster: {
              server,
              ...(ca === undefined
                ? {}
                : { "certificate-authority-data": Buffer.from(ca).toString("base64") }),
            },
          },
        ],
        users: [{ name, user: token === undefined ? {} : { token } }],
        contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
        "current-context": name,
      };
      context.out(await renderYaml(config));
      exit(EXIT.ok);
    });
}
