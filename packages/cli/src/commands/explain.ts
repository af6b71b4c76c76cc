import { MeshError } from "@tulle/base";
import type { Explanation } from "@tulle/engine";
import { Option, type Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { outputOption, renderStructured } from "../output/format.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface ExplainOptions extends ServerOptions {
  readonly header?: readonly string[];
  readonly from?: string;
  readonly namespace?: string;
  readonly requestId?: string;
  readonly gateway?: string;
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly proxy?: string;
  readonly output: "text" | "json";
}

const EXAMPLES = `
Says what would become of a request and why: the route and which condition each rule before it failed on, the chances of
a split, endpoints with their health and load, timeouts, retries, headers. Nothing is sent.

Without -f the caller's own sidecar answers, by way of the control plane (--from), or asked itself (--proxy). With -f the
answer comes from files, without a mesh: services are ServiceEntries, or objects of kind MeshServices.

Exit codes: 0 whatever becomes of the request, 2 when the request or a file cannot be read.

Examples:
  $ tulle explain GET http://reviews:9080/reviews --from frontend
  $ tulle explain http://reviews:9080/ -H 'version: v2' --from frontend -o json
  $ tulle explain http://reviews:9080/ --proxy http://127.0.0.1:15000 --request-id 7c1e
  $ tulle explain http://reviews:9080/ --from frontend -f config/ -f services.yaml
  $ tulle explain https://www.example.com/cart --gateway ingressgateway.edge -f config/`;

/** What may be wrong with what the user wrote. */
const BAD_INPUT: ReadonlySet<string> = new Set([
  "ENGINE_BAD_QUESTION",
  "CLI_BAD_MESH",
  "CLI_BAD_CALLER",
  "CLI_FILE",
]);

/** `tulle explain`: what would become of a request, and why. */
export function registerExplain(program: Command, context: CliContext, exit: (code: number) => void): void {
  const command = program
    .command("explain")
    .description("say what would become of a request, and why")
    .argument("<words...>", "[METHOD] URL")
    .option("-H, --header <line>", '"name: value"; repeatable', collect(String))
    .option("--from <service>", "the calling service, SERVICE or SERVICE.NAMESPACE")
    .addOption(
      new Option(
        "--gateway <name>",
        "with -f, the gateway that the request comes to from outside, NAME or NAME.NAMESPACE",
      ).conflicts(["from", "proxy"]),
    )
    .option(
      "-n, --namespace <name>",
      'namespace of the caller and of objects that name none (default: "default")',
    )
    .option("--request-id <id>", "x-request-id: decides wherever chance does")
    .option("-f, --filename <path>", "file, directory, or -: explain from files; repeatable", collect(String))
    .option("-R, --recursive", "directories below directories too")
    .addOption(new Option("--proxy <url>", "admin address of the sidecar to ask").conflicts("filename"))
    .addOption(outputOption(["text", "json"]))
    .addOption(serverOption(context))
    .addHelpText("after", EXAMPLES);
  command.action(async (words: readonly string[], options: ExplainOptions) => {
    if (words.length > 2) command.error("error: expected [METHOD] URL");
    const [first = "", second] = words;
    const asked = second === undefined ? { method: "GET", url: first } : { method: first, url: second };
    try {
      const explanation = await ask(asked, options, context);
      if (options.output === "json") context.out(await renderStructured("json", explanation));
      else {
        const { explanationText } = await import("../output/explanation-text.js");
        context.out(explanationText(explanation, context));
      }
      exit(EXIT.ok);
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || !BAD_INPUT.has(thrown.code)) throw thrown;
      context.err(`tulle: ${thrown.message}\n`);
      exit(EXIT.usage);
    }
  });
}

async function ask(
  { method, url }: { readonly method: string; readonly url: string },
  options: ExplainOptions,
  context: CliContext,
): Promise<Explanation> {
  const { namespace = "default", from, gateway, requestId, header: headers = [], filename, proxy } = options;
  if (filename !== undefined) {
    const { explainFiles } = await import("../offline/explain-files.js");
    const { explanation, warnings } = await explainFiles(
      { filenames: filename, namespace, from, gateway, method, url, headers, requestId },
      { recursive: options.recursive === true, stdin: context.stdin },
    );
    for (const warning of warnings) context.err(`tulle: warning: ${warning}\n`);
    return explanation;
  }
  if (gateway !== undefined) {
    const message =
      "--gateway needs files, with -f; a gateway that runs is asked with --proxy, by its admin address";
    throw new MeshError("invalid", "CLI_BAD_CALLER", message);
  }
  const { requestFrom } = await import("@tulle/engine");
  // What is wrong with it is said here, before anybody is asked.
  requestFrom({ method, url, headers });
  const question = { method, url, headers, ...(requestId === undefined ? {} : { requestId }) };
  const { askControlPlane, askProxy } = await import("../resources/explain-live.js");
  if (proxy !== undefined) return askProxy(proxy, question);
  if (from === undefined) {
    const message =
      "whose request is it? Name the calling service with --from, a sidecar with --proxy, or files with -f";
    throw new MeshError("invalid", "CLI_BAD_CALLER", message);
  }
  const { parseCaller } = await import("../offline/explain-files.js");
  const caller = parseCaller(from, namespace);
  return askControlPlane(await connect(options, context), {
    ...question,
    from: caller.service,
    namespace: caller.namespace,
  });
}
