import { create } from "@bufbuild/protobuf";
import type { HeaderManipulation, HeaderOperations } from "@tulle/api";
import {
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
  type HeaderValueOption,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";

/** The fields that routes, weighted clusters and virtual hosts share. */
export interface HeaderMutations {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

const { APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;

/** Header operations of a rule or a destination. The host is not among them: see {@link hostRewrite}. */
export function headerMutations(headers: HeaderManipulation | undefined): HeaderMutations {
  return {
    requestHeadersToAdd: additions(headers?.request),
    requestHeadersToRemove: removals(headers?.request),
    responseHeadersToAdd: additions(headers?.response),
    responseHeadersToRemove: removals(headers?.response),
  };
}

/** The host that a rule sets as if it were a header (Istio allows `Host` and `:authority`). */
export function hostRewrite(headers: HeaderManipulation | undefined): string | undefined {
  const set = Object.entries(headers?.request?.set ?? {});
  return set.find(([name]) => isHost(name))?.[1];
}

function additions(operations: HeaderOperations | undefined): HeaderValueOption[] {
  return [
    ...options(operations?.set, OVERWRITE_IF_EXISTS_OR_ADD),
    ...options(operations?.add, APPEND_IF_EXISTS_OR_ADD),
  ];
}

function options(
  fields: Readonly<Record<string, string>> | undefined,
  appendAction: HeaderValueOption_HeaderAppendAction,
): HeaderValueOption[] {
  return Object.entries(fields ?? {})
    .filter(([name]) => !isHost(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => create(HeaderValueOptionSchema, { header: { key, value }, appendAction }));
}

/** Envoy refuses a configuration that removes the host. */
function removals(operations: HeaderOperations | undefined): string[] {
  return [...(operations?.remove ?? [])].filter((name) => !isHost(name)).sort();
}

function isHost(name: string): boolean {
  return name.toLowerCase() === "host" || name.startsWith(":");
}
