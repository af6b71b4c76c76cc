import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { serverOption } from "../command.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface WhyOptions extends ServerOptions {
  readonly output: string;
}

const DETAILS = `
Every sidecar keeps a record of its newest failures, of requests that took more than one try, and of a sample of the
successes (--record-percent of "tulle run" and "tulle sidecar"; 1 by default). All connected sidecars are asked for theirs;
what they decided is decided again, with the configuration of then, to say why.

The id is in the x-request-id header of an error answer, in the access log, and wherever your application logs the header.

Exit codes: 4 when no sidecar has a record of it, 3 when the control plane cannot be reached.

Examples:
  $ curl -i http://127.0.0.1:15001/ -H 'Host: reviews:9080'
  $ tulle why 8f14e45f-ceea-467f-a8f0-2d7e3a1b9c55
  $ tulle why 8f14e45f-ceea-467f-a8f0-2d7e3a1b9c55 -o json | jq '.hops[].record.tries'`;

/** `tulle why`: what became of a request, and why. */
export function registerWhy(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("why")
    .description("say what became of a request, and why: where it went, each try, the rule, the cause")
    .argument("<request id>", "value of its x-request-id header")
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (requestId: string, options: WhyOptions) => {
      const client = await connect(options, context);
      const story = await client.why(requestId);
      if (isStructured(options.output)) {
        context.out(await renderStructured(options.output, story));
      } else if (story.hops.length > 0) {
        const { renderStory } = await import("../why/render-story.js");
        context.out(renderStory(story, context.colors));
      }
      if (story.hops.length === 0) {
        const asked = `${story.asked} ${story.asked === 1 ? "sidecar was" : "sidecars were"} asked`;
        const silent = story.silent.length > 0 ? `, ${story.silent.length} did not answer` : "";
        const message = `no record of request ${requestId} (${asked}${silent}): the newest failures are kept, and a sample of the successes (--record-percent)`;
        context.err(`tulle: ${terminalText(message)}\n`);
      }
      exit(story.hops.length > 0 ? EXIT.ok : EXIT.notFound);
    });
}
