import { FINDING_LEVELS, parseSuppression, type FindingLevel, type Suppression } from "@tulle/api";
import { Option, type Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { outputOption } from "../output/format.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface AnalyzeOptions extends ServerOptions {
  readonly live?: boolean;
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly suppress: readonly string[];
  readonly failureThreshold: FindingLevel;
  readonly output: "text" | "json" | "yaml";
}

const EXAMPLES = `
With files, nothing but the files is looked at, and no control plane is needed: services that objects name are taken to
exist. With --live, and without files, it is what the control plane has, with the files as if they were applied.

Codes IST... have Istio's meaning, codes TUL... are Tulle's own; the annotation galley.istio.io/analyze-suppress of an
object leaves out codes of it. Exits with 1 when something is as bad as --failure-threshold.

Examples:
  $ tulle analyze config/
  $ tulle analyze --live canary.yaml
  $ tulle analyze -A
  $ tulle analyze config/ --suppress "IST0130=VirtualService *.shop" --failure-threshold Warning -o json`;

/** `tulle analyze`: what is doubtful or wrong in configuration. */
export function registerAnalyze(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("analyze")
    .description("find what is wrong or doubtful in configuration: in files, or in the mesh")
    .argument("[paths...]", "files, directories with all that is below, or - for stdin")
    .option("--live", "look at files together with what the control plane has")
    .option("-n, --namespace <name>", 'namespace (default: "default")')
    .option("-A, --all-namespaces", "stored objects of all namespaces")
    .option("--suppress <code=name>", "leave out findings; repeatable", collect(String), [])
    .addOption(
      new Option("--failure-threshold <level>", "worst level that is no failure is the one below")
        .choices(FINDING_LEVELS)
        .default("Error"),
    )
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (paths: readonly string[], options: AnalyzeOptions) => {
    const usage = (message: string): never => command.error(`error: ${message}`);
    if (options.allNamespaces === true && options.namespace !== undefined) usage("give -n or -A, not both");
    const suppressions = options.suppress.map((text): Suppression => {
      const suppression = parseSuppression(text);
      return typeof suppression === "string" ? usage(`--suppress ${text}: ${suppression}`) : suppression;
    });
    const isLive = options.live === true || paths.length === 0;
    if (!isLive && options.allNamespaces === true) usage("-A is about stored objects: give --live too");
    const { analyzeConfiguration } = await import("../analysis/analyze-configuration.js");
    const failed = await analyzeConfiguration(
      {
        paths,
        client: isLive ? await connect(options, context) : undefined,
        namespace: options.namespace ?? "default",
        allNamespaces: options.allNamespaces === true,
        suppressions,
        threshold: options.failureThreshold,
        output: options.output,
      },
      context,
    );
    exit(failed ? EXIT.failed : EXIT.ok);
  });
}
