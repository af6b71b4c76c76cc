import type { HeaderList } from "@tulle/http";
import type { HeaderValueOption } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { HeaderMutation } from "../contract.js";
import type { FormatSource } from "../format/format-source.js";
import { compileValueFormat } from "../format/value-format.js";
import { at, invalid } from "../snapshot/invalid.js";
import { sameName } from "./header-value.js";

/** Where one level of the configuration (weighted cluster, route, virtual host, table) keeps its mutations. */
export interface MutationSource {
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderValueOption[];
  readonly responseHeadersToRemove: readonly string[];
}

export interface Mutations {
  readonly request: readonly HeaderMutation[];
  readonly response: readonly HeaderMutation[];
}

/** Compiles one level: removals first, then additions, as Envoy applies them. */
export function compileMutations(field: string, source: MutationSource): Mutations {
  return {
    request: compileList(field, "request_headers", source.requestHeadersToRemove, source.requestHeadersToAdd),
    response: compileList(
      field,
      "response_headers",
      source.responseHeadersToRemove,
      source.responseHeadersToAdd,
    ),
  };
}

/** As {@link compileMutations}, where there is no exchange that command operators could tell of: they are refused. */
export function compileLiteralMutations(field: string, source: MutationSource): Mutations {
  const mutations = compileMutations(field, source);
  for (const mutation of [...mutations.request, ...mutations.response]) {
    if (mutation.op !== "remove" && mutation.format !== undefined)
      throw invalid(field, `${JSON.stringify(mutation.value)}: command operators are not known here`);
  }
  return mutations;
}

/**
 * All levels in the order of their application. `levels` go from the most specific one outwards, which is Envoy's
 * order, so that the general ones have the last word; `specificWins` (`most_specific_header_mutations_wins`) turns it.
 */
export function orderMutations(levels: readonly Mutations[], specificWins: boolean): Mutations {
  const ordered = specificWins ? levels.toReversed() : levels;
  return {
    request: ordered.flatMap((level) => level.request),
    response: ordered.flatMap((level) => level.response),
  };
}

/**
 * Carries mutations out on a header list, in place. `source`: what values with command operators tell of; without it, or
 * when such a value comes out empty, the mutation is left out, as in Envoy.
 */
export function applyHeaders(
  headers: HeaderList,
  mutations: readonly HeaderMutation[],
  source?: FormatSource,
): void {
  for (const mutation of mutations) {
    if (mutation.op === "remove") {
      remove(headers, mutation.name);
      continue;
    }
    const { op, name, format } = mutation;
    const value = format === undefined ? mutation.value : source === undefined ? "" : format(source);
    if (format !== undefined && value === "") continue;
    if (op === "add-if-absent" && has(headers, name)) continue;
    if (op === "set-if-present" && !has(headers, name)) continue;
    if (op === "set" || op === "set-if-present") remove(headers, name);
    headers.push(name, value);
  }
}

function has(headers: HeaderList, name: string): boolean {
  for (let index = 0; index < headers.length; index += 2) if (sameName(headers[index]!, name)) return true;
  return false;
}

function remove(headers: HeaderList, name: string): void {
  let kept = 0;
  for (let index = 0; index < headers.length; index += 2) {
    if (sameName(headers[index]!, name)) continue;
    headers[kept] = headers[index]!;
    headers[kept + 1] = headers[index + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

function compileList(
  field: string,
  prefix: string,
  toRemove: readonly string[],
  toAdd: readonly HeaderValueOption[],
): readonly HeaderMutation[] {
  const removals = toRemove.map((name, index): HeaderMutation => ({
    op: "remove",
    name: compileName(at(field, `${prefix}_to_remove[${index}]`), name),
  }));
  const additions = toAdd.flatMap((option, index) =>
    compileAddition(at(field, `${prefix}_to_add[${index}]`), option),
  );
  return [...removals, ...additions];
}

function compileAddition(field: string, option: HeaderValueOption): HeaderMutation[] {
  const header = option.header;
  if (header === undefined) throw invalid(at(field, "header"), "must be set");
  const name = compileName(at(field, "header.key"), header.key);
  const raw = header.rawValue.length > 0 ? getTextEncoding().decodeUtf8(header.rawValue) : header.value;
  const place = at(field, "header.value");
  // eslint-disable-next-line no-control-regex -- exactly these must not get onto the wire
  if (/[\0\r\n]/.test(raw)) throw invalid(place, "must not hold NUL, CR or LF");
  if (raw === "" && !option.keepEmptyValue) return [];
  const format = compileValueFormat(place, raw);
  if (format !== undefined) return [{ op: operation(option), name, value: raw, format }];
  return [{ op: operation(option), name, value: raw.replaceAll("%%", "%") }];
}

function operation(option: HeaderValueOption): "set" | "append" | "add-if-absent" | "set-if-present" {
  // The deprecated `append` has precedence when it is there, as in Envoy.
  if (option.append !== undefined) return option.append ? "append" : "set";
  switch (option.appendAction) {
    case AppendAction.APPEND_IF_EXISTS_OR_ADD:
      return "append";
    case AppendAction.ADD_IF_ABSENT:
      return "add-if-absent";
    case AppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return "set";
    case AppendAction.OVERWRITE_IF_EXISTS:
      return "set-if-present";
    default:
      return "append";
  }
}

/** RFC 9110 section 5.1: a field name is a token. Pseudo headers and `host` have rewrites of their own. */
function compileName(field: string, name: string): string {
  if (!TOKEN.test(name)) throw invalid(field, `${JSON.stringify(name)} is not a header name`);
  const lower = name.toLowerCase();
  if (lower === "host") throw invalid(field, "host cannot be altered here: use host_rewrite_literal");
  return lower;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
