import type { Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface EndpointsOptions extends ServerOptions {
  readonly namespace?: string;
  readonly proxy?: string;
  readonly diff?: boolean;
  readonly output: string;
}

const DETAILS = `
Shows the instances of a service as the registry has them, and what every connected proxy that calls the service has of
them: asked now, not as it is thought to be. Without a service: all of them.

--diff shows only what differs: missing = registered, and the proxy does not have it; stale = the proxy has it, and it is
not (any more) to be used; health = the proxy was told otherwise; content = other weights or labels; unknown = the proxy does not
answer, and has not acknowledged what it was sent. What a proxy holds against an endpoint itself (ejected, failing checks)
is no difference: it is shown without --diff.

Exit codes: 1 with --diff when there are differences, 4 when there is no such service or proxy, 3 when the control plane
cannot be reached.

Examples:
  $ tulle endpoints reviews
  $ tulle endpoints reviews --diff
  $ tulle endpoints --proxy web-1.default
  $ tulle endpoints reviews -o json | jq '.proxies[].differences'`;

/** `tulle endpoints`: what is registered, and what proxies have of it. */
export function registerEndpoints(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("endpoints")
    .description("show the instances of services, and the endpoints that proxies have of them")
    .argument("[service]", "name of a service, or a host in full (default: all)")
    .option("-n, --namespace <name>", 'namespace of the service (default: "default"; without a service: all)')
    .option("--proxy <name>", 'only this proxy, as "tulle get proxies" shows it')
    .option("--diff", "show only differences; exit with 1 when there are any")
    .addOption(outputOption(["text", "json", "yaml"]))
    .addOption(serverOption(context))
    .addHelpText("after", DETAILS)
    .action(async (service: string | undefined, options: EndpointsOptions) => {
      const { namespace, proxy, diff = false, output } = options;
      const client = await connect(options, context);
      const report = await client.endpoints({
        ...(service === undefined ? {} : { service }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(proxy === undefined ? {} : { proxy }),
      });
      const { differingProxies, renderDifferences, renderEndpoints } =
        await import("../output/endpoints-report.js");
      const differing = differingProxies(report);
      if (isStructured(output)) {
        context.out(await renderStructured(output, diff ? { proxies: differing } : report));
      } else {
        context.out(
          diff ? renderDifferences(report) : renderEndpoints(report, context.clock.now(), context.colors),
        );
      }
      exit(diff && differing.length > 0 ? EXIT.failed : EXIT.ok);
    });
}
