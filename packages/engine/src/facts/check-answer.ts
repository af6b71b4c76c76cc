import type { HeaderList } from "@tulle/http";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type {
  CheckResponse,
  DeniedHttpResponse,
  OkHttpResponse,
} from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { HeaderMutation } from "../contract.js";
import type { ExtAuthzDenied, ExtAuthzFact, QueryChange } from "./ext-authz.js";
import { fieldName, fieldValue, type MutationRules } from "./mutation-rules.js";

const FORBIDDEN = 403;
const INTERNAL_ERROR = 500;

/**
 * What a `CheckResponse` comes to. One that would put bytes into a message that cannot be there is a refusal with 500: what
 * it wanted to set or to remove may be what the service behind relies on.
 */
export function factOfCheck(response: CheckResponse, rules: MutationRules): ExtAuthzFact {
  const { httpResponse, status } = response;
  if ((status?.code ?? 0) !== 0) {
    return denied(httpResponse.case === "deniedResponse" ? httpResponse.value : undefined, rules);
  }
  if (httpResponse.case === "deniedResponse") return denied(httpResponse.value, rules);
  return allowed(httpResponse.case === "okResponse" ? httpResponse.value : undefined, response, rules);
}

/** The refusal of an answer that must not be carried out. */
export function invalidAnswer(why: string): ExtAuthzDenied {
  return { kind: "ext-authz", allowed: false, status: INTERNAL_ERROR, headers: [], body: "", invalid: why };
}

function allowed(
  ok: OkHttpResponse | undefined,
  response: CheckResponse,
  rules: MutationRules,
): ExtAuthzFact {
  const request = new Mutations(rules);
  const toClient = new Mutations(rules);
  for (const name of ok?.headersToRemove ?? []) request.remove(name);
  for (const option of ok?.headers ?? []) request.add(option);
  for (const option of ok?.responseHeadersToAdd ?? []) toClient.add(option);
  const why = request.invalid ?? toClient.invalid;
  if (why !== undefined) return invalidAnswer(why);
  return {
    kind: "ext-authz",
    allowed: true,
    request: request.made,
    response: toClient.made,
    query: ok === undefined ? undefined : queryChange(ok),
    metadata: response.dynamicMetadata ?? ok?.dynamicMetadata,
    refusedMutations: request.refused + toClient.refused,
  };
}

function denied(response: DeniedHttpResponse | undefined, rules: MutationRules): ExtAuthzDenied {
  const mutations = new Mutations(rules);
  for (const option of response?.headers ?? []) mutations.add(option);
  if (mutations.invalid !== undefined) return invalidAnswer(mutations.invalid);
  const headers: HeaderList = [];
  for (const mutation of mutations.made)
    if (mutation.op !== "remove") headers.push(mutation.name, mutation.value);
  return {
    kind: "ext-authz",
    allowed: false,
    status: statusOf(response?.status?.code),
    headers,
    body: response?.body ?? "",
  };
}

/** What the client is told: a status that ends a request. */
function statusOf(code: number | undefined): number {
  return code !== undefined && code >= 200 && code <= 599 ? code : FORBIDDEN;
}

function queryChange(ok: OkHttpResponse): QueryChange | undefined {
  if (ok.queryParametersToSet.length === 0 && ok.queryParametersToRemove.length === 0) return undefined;
  return {
    set: ok.queryParametersToSet.map(({ key, value }) => [key, value]),
    remove: ok.queryParametersToRemove,
  };
}

/** Mutations as far as the rules let them be made. */
class Mutations {
  readonly made: HeaderMutation[] = [];
  refused = 0;
  /** Why the answer must not be carried out. */
  invalid: string | undefined;
  readonly #rules: MutationRules;

  constructor(rules: MutationRules) {
    this.#rules = rules;
  }

  remove(written: string): void {
    const name = this.#nameOf(written);
    if (name !== undefined) this.made.push({ op: "remove", name });
  }

  add(option: HeaderValueOption): void {
    const { header } = option;
    const name = this.#nameOf(header?.key ?? "");
    if (name === undefined || header === undefined) return;
    const value = fieldValue(header.value, header.rawValue);
    if (value === undefined) this.invalid ??= `the value of ${name} cannot be a field's`;
    else this.made.push({ op: operation(option), name, value });
  }

  /** Undefined: it is not altered. */
  #nameOf(written: string): string | undefined {
    const name = fieldName(written);
    if (name === undefined) {
      this.invalid ??= `${JSON.stringify(written.slice(0, 100))} is not a field's name`;
    } else if (!this.#rules.allows(name)) {
      this.refused++;
      if (this.#rules.strict) this.invalid ??= `${name} may not be altered`;
      return undefined;
    }
    return name;
  }
}

/** Of a service's answers `append` is false where it does not say, unlike in configuration. */
function operation({
  append,
  appendAction,
}: HeaderValueOption): "set" | "append" | "add-if-absent" | "set-if-present" {
  if (append !== undefined) return append ? "append" : "set";
  switch (appendAction) {
    case AppendAction.ADD_IF_ABSENT:
      return "add-if-absent";
    case AppendAction.OVERWRITE_IF_EXISTS:
      return "set-if-present";
    default:
      return "set";
  }
}
