import type { JsonObject } from "@bufbuild/protobuf";
import { isHopByHop, type HeaderList } from "@tulle/http";
import type { HeaderMutation } from "../contract.js";
import type { Fact } from "./contract.js";
import type { HttpAnswerRules } from "./ext-authz.js";
import type { MutationRules } from "./mutation-rules.js";

/** Of a refusal clients get them wherever they get some: without them the answer could not be read. */
const ALWAYS_TO_CLIENT: ReadonlySet<string> = new Set(["www-authenticate", "location", "content-type"]);

/**
 * What the answer of an HTTP service comes to: 200 lets the request pass, 5xx is a failure, everything else refuses it and is
 * what the client gets.
 */
export function factOfHttpAnswer(
  status: number,
  headers: HeaderList,
  body: string,
  answer: HttpAnswerRules,
  rules: MutationRules,
): Fact {
  if (status >= 500) return { kind: "failed", reason: "refused", detail: `it answered ${status}` };
  return status === 200 ? allowed(headers, answer, rules) : denied(status, headers, body, answer);
}

function denied(status: number, headers: HeaderList, body: string, { toClient }: HttpAnswerRules): Fact {
  const told: HeaderList = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase();
    if (isHopByHop(name) || name === "content-length" || name === "host") continue;
    if (toClient !== undefined && !toClient(name) && !ALWAYS_TO_CLIENT.has(name)) continue;
    told.push(name, headers[index + 1]!);
  }
  return { kind: "ext-authz", allowed: false, status: status < 200 ? 403 : status, headers: told, body };
}

function allowed(headers: HeaderList, answer: HttpAnswerRules, rules: MutationRules): Fact {
  const request: HeaderMutation[] = [];
  const response: HeaderMutation[] = [];
  const metadata: JsonObject = {};
  const seen = new Set<string>();
  let refusedMutations = 0;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase();
    const value = headers[index + 1]!;
    if (answer.toMetadata?.(name) === true) metadata[name] = value;
    const upstream = answer.toUpstream?.(name) === true;
    const beside = answer.toUpstreamBeside?.(name) === true;
    const client = answer.toClientOnAllow?.(name) === true;
    if (!upstream && !beside && !client) continue;
    if (!rules.allows(name)) {
      refusedMutations++;
      continue;
    }
    // Several fields of one name all go on: the first one takes the place of the client's.
    if (upstream) request.push({ op: seen.has(name) ? "append" : "set", name, value });
    else if (beside) request.push({ op: "append", name, value });
    if (client) response.push({ op: "append", name, value });
    seen.add(name);
  }
  return {
    kind: "ext-authz",
    allowed: true,
    request,
    response,
    query: undefined,
    metadata: Object.keys(metadata).length === 0 ? undefined : metadata,
    refusedMutations,
  };
}
