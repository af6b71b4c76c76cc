import { create } from "@bufbuild/protobuf";
import type { ConsistentHash } from "@tulle/api";
import {
  RouteAction_HashPolicySchema,
  type RouteAction_HashPolicy,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { BalancerSettings } from "../destination-rules.js";
import { durationOfText } from "../duration.js";

/** What of a request chooses its endpoint under consistent hashing. */
export function hashPolicies({ consistentHash, hashes }: BalancerSettings = {}): RouteAction_HashPolicy[] {
  if (consistentHash === undefined) return [];
  return (hashes ?? [{ hash: consistentHash, terminal: false }]).flatMap(({ hash, terminal }) => {
    const specifier = policySpecifier(hash);
    return specifier === undefined
      ? []
      : [create(RouteAction_HashPolicySchema, { policySpecifier: specifier, terminal })];
  });
}

function policySpecifier(hash: ConsistentHash): RouteAction_HashPolicy["policySpecifier"] | undefined {
  const init = initOf(hash);
  return init && create(RouteAction_HashPolicySchema, { policySpecifier: init }).policySpecifier;
}

function initOf(hash: ConsistentHash) {
  if (hash.httpHeaderName !== undefined) {
    return { case: "header", value: { headerName: hash.httpHeaderName } } as const;
  }
  if (hash.httpCookie !== undefined) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    return {
      case: "cookie",
      value: {
        name,
        path: path ?? "",
        ttl: ttl === undefined ? undefined : durationOfText(ttl),
        attributes: (attributes ?? []).map((attribute) => ({
          name: attribute.name,
          value: attribute.value ?? "",
        })),
      },
    } as const;
  }
  if (hash.useSourceIp === true) return { case: "connectionProperties", value: { sourceIp: true } } as const;
  if (hash.httpQueryParameterName !== undefined) {
    return { case: "queryParameter", value: { name: hash.httpQueryParameterName } } as const;
  }
  return undefined;
}
