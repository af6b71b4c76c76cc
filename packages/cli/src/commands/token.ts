import { ROLES, type Role } from "@tulle/api";
import { parseDuration } from "@tulle/base";
import { InvalidArgumentError, Option, type Command } from "commander";

import { serverOption } from "../command.js";
import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { collect } from "../options.js";
import { isStructured, outputOption, renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import { connect, type ServerOptions } from "../resources/connection.js";

interface CreateOptions extends ServerOptions {
  readonly role?: Role;
  readonly join?: { readonly namespace: string; readonly serviceAccount: string };
  readonly namespace?: readonly string[];
  readonly serviceAccount?: string;
  readonly expires?: number;
  readonly output: string;
}

const CREATE_DETAILS = `
Roles: admin (everything, of the whole mesh), operator (reads and writes configuration, secrets and registrations, makes
join tokens), read-only (reads all but secrets and tokens), workload (registers the service of its own account). The
token is printed this once; the control plane keeps only its hash.

A join token is for one workload, once: it gets the certificate of its service account with it.

Examples:
  $ tulle token create ci --role operator --namespace shop --expires 90d
  $ tulle token create grafana --role read-only
  $ tulle token create reviews --role workload --namespace shop --service-account reviews
  $ TULLE_JOIN_TOKEN=$(tulle token create --join shop/reviews) tulle run --service reviews -n shop …`;

/** `tulle token`: credentials for people, programs and workloads. */
export function registerToken(program: Command, context: CliContext, exit: (code: number) => void): void {
  const token = program.command("token").description("make, list and revoke tokens for the control plane");
  const create = token
    .command("create")
    .description("make an access token, or with --join a workload's one-time token")
    .argument("[name]", "name of the access token")
    .addOption(new Option("--role <role>", "what its holder may be").choices(ROLES))
    .addOption(
      new Option("--join <namespace/account>", "one-time token for a workload").argParser(parseAccount),
    )
    .addOption(
      new Option(
        "-n, --namespace <name>",
        "where the role holds; repeat for more (default: everywhere)",
      ).argParser(collect(String)),
    )
    .option("--service-account <name>", "of a workload")
    .addOption(
      new Option(
        "--expires <duration>",
        'such as "90d" (default: access tokens never, join tokens after 10m)',
      ).argParser(parseExpiry),
    )
    .addOption(outputOption(["text", "json"]))
    .addOption(serverOption(context))
    .addHelpText("after", CREATE_DETAILS);
  create.action(async (name: string | undefined, options: CreateOptions) => {
    const usage = (message: string): never => create.error(`error: ${message}`);
    const client = await connect(options, context);
    const ttl = options.expires === undefined ? {} : { ttlSeconds: options.expires };
    let made: { readonly token: string };
    if (options.join !== undefined) {
      if (name !== undefined || options.role !== undefined || options.namespace !== undefined)
        usage("a join token has neither name nor role: --join NAMESPACE/ACCOUNT says all");
      made = await client.joinToken({ ...options.join, ...ttl });
    } else {
      if (name === undefined || options.role === undefined) return usage("say NAME and --role, or --join");
      const { role, namespace: namespaces, serviceAccount } = options;
      made = await client.accessTokens.create({
        name,
        role,
        ...(namespaces === undefined ? {} : { namespaces }),
        ...(serviceAccount === undefined ? {} : { serviceAccount }),
        ...ttl,
      });
    }
    context.out(
      isStructured(options.output) ? await renderStructured(options.output, made) : `${made.token}\n`,
    );
    exit(EXIT.ok);
  });
  token
    .command("list")
    .description("show access tokens, without their secrets")
    .addOption(outputOption(["table", "json", "yaml"]))
    .addOption(serverOption(context))
    .action(async (options: ServerOptions & { readonly output: string }) => {
      const tokens = await (await connect(options, context)).accessTokens.list();
      if (isStructured(options.output)) context.out(await renderStructured(options.output, { tokens }));
      else {
        const { tokenTable } = await import("../output/token-table.js");
        context.out(tokenTable(tokens, context.clock.now()));
      }
      exit(EXIT.ok);
    });
  token
    .command("revoke")
    .description("end an access token at once, with everything that is being answered to it")
    .argument("<name>", "its name")
    .addOption(serverOption(context))
    .action(async (name: string, options: ServerOptions) => {
      await (await connect(options, context)).accessTokens.revoke(name);
      context.out(`revoked ${terminalText(name)}\n`);
      exit(EXIT.ok);
    });
}

function parseAccount(text: string): { readonly namespace: string; readonly serviceAccount: string } {
  const [namespace = "", serviceAccount = "", ...rest] = text.split("/");
  if (namespace !== "" && serviceAccount !== "" && rest.length === 0) return { namespace, serviceAccount };
  throw new InvalidArgumentError("expected NAMESPACE/SERVICEACCOUNT, such as shop/reviews.");
}

/** A duration in whole seconds; days, which Go's durations do not have, too. */
function parseExpiry(text: string): number {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const ms = days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
  if (ms !== undefined && ms >= 1000) return Math.floor(ms / 1000);
  throw new InvalidArgumentError('expected a duration such as "90d" or "12h".');
}
