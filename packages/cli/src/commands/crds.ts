import { customResourceDefinition, KINDS } from "@tulle/api";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { renderYaml } from "../output/format.js";

const EXAMPLES = `
With them a Kubernetes cluster stores objects of tulle.dev/v1; who checks these is the control plane's webhook (docs/admission.md).

Examples:
  $ tulle crds | kubectl apply -f -
  $ tulle crds > crds.yaml`;

/** `tulle crds`: CustomResourceDefinitions of our own kinds. */
export function registerCrds(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("crds")
    .description("print CustomResourceDefinitions of Tulle's own kinds, for Kubernetes")
    .addHelpText("after", EXAMPLES)
    .action(async () => {
      const definitions = KINDS.filter(({ specSchema }) => specSchema !== undefined).map(
        customResourceDefinition,
      );
      const documents = await Promise.all(definitions.map((one) => renderYaml(one)));
      context.out(documents.join("---\n"));
      exit(EXIT.ok);
    });
}
