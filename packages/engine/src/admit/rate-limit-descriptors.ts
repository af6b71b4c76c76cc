import type {
  RateLimit,
  RateLimit_Action,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  SourceIdentitySchema,
  type SourceIdentity,
} from "@tulle/xds/gen/tulle/ratelimit/v1/source_identity_pb.js";
import type { Facts, Plan, RateLimitSource, RateLimitSources, ReplyPlan } from "../contract.js";
import type { RateLimitDescriptor } from "../facts/rate-limit.js";
import { compileHeaderTests } from "../route/header-test.js";
import { requestValue } from "../route/header-value.js";
import { withoutPort } from "../route/virtual-hosts.js";
import { holds, unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";

/** One entry of a descriptor; "skip" = none, the others count; undefined = there is no descriptor. */
type Entry = (
  plan: Plan | ReplyPlan,
  facts: Facts,
) => readonly [key: string, value: string] | "skip" | undefined;

/** Compiles `rate_limits` of a route or a virtual host: what is known of a request for limiting. */
export function compileRateLimits(field: string, limits: readonly RateLimit[]): readonly RateLimitSource[] {
  return limits.map((limit, index) => {
    const here = `${field}[${index}]`;
    if (limit.limit !== undefined) throw invalid(at(here, "limit"), "is not supported");
    const entries = limit.actions.map((action, position) =>
      compileAction(at(here, `actions[${position}]`), action),
    );
    return {
      stage: limit.stage ?? 0,
      descriptor: (plan, facts) => {
        const descriptor: (readonly [string, string])[] = [];
        for (const entry of entries) {
          const made = entry(plan, facts);
          if (made === undefined) return undefined;
          if (made !== "skip") descriptor.push(made);
        }
        return descriptor.length === 0 ? undefined : descriptor;
      },
    };
  });
}

/** Undefined when there are none. */
export function rateLimitSources(
  route: readonly RateLimitSource[],
  host: readonly RateLimitSource[],
): RateLimitSources | undefined {
  return route.length === 0 && host.length === 0 ? undefined : { route, host };
}

/** Which limits of a virtual host count beside those of its route (Envoy's `vh_rate_limits`). */
export type HostLimits = "override" | "include" | "ignore";

/** What is known of a request for limits of a stage. */
export function descriptorsOf(
  plan: Plan | ReplyPlan,
  facts: Facts,
  stage: number,
  hostLimits: HostLimits,
): readonly RateLimitDescriptor[] {
  const { rateLimits } = plan;
  if (rateLimits === undefined) return [];
  const withHost = hostLimits === "include" || (hostLimits === "override" && rateLimits.route.length === 0);
  const sources = withHost ? [...rateLimits.route, ...rateLimits.host] : rateLimits.route;
  const found: RateLimitDescriptor[] = [];
  for (const source of sources) {
    const descriptor = source.stage === stage ? source.descriptor(plan, facts) : undefined;
    if (descriptor !== undefined) found.push(descriptor);
  }
  return found;
}

function sourceIdentity({ only, except, unidentified }: SourceIdentity): Entry {
  const stranger = unidentified === "" ? undefined : (["source_identity", unidentified] as const);
  const [included, excluded] = [new Set(only), new Set(except)];
  return (_plan, { principal }) => {
    if (principal === undefined) return stranger;
    if ((included.size > 0 && !included.has(principal)) || excluded.has(principal)) return undefined;
    return ["source_identity", principal];
  };
}

function compileAction(field: string, { actionSpecifier: action }: RateLimit_Action): Entry {
  switch (action.case) {
    case "requestHeaders": {
      const { headerName, descriptorKey, skipIfAbsent } = action.value;
      const name = headerName.toLowerCase();
      return (_plan, { request }) => {
        const value = requestValue(request, name);
        if (value === undefined) return skipIfAbsent ? "skip" : undefined;
        return [descriptorKey, value];
      };
    }
    case "remoteAddress":
      return (_plan, { remoteAddress }) =>
        remoteAddress === undefined ? undefined : ["remote_address", withoutPort(remoteAddress)];
    case "genericKey": {
      const entry = [action.value.descriptorKey || "generic_key", action.value.descriptorValue] as const;
      return () => entry;
    }
    case "headerValueMatch": {
      const { descriptorKey, descriptorValue, expectMatch, headers } = action.value;
      const tests = compileHeaderTests(at(field, "header_value_match.headers"), headers);
      const entry = [descriptorKey || "header_match", descriptorValue] as const;
      const expected = expectMatch ?? true;
      return (_plan, { request }) => (tests.every((test) => test(request)) === expected ? entry : undefined);
    }
    case "destinationCluster":
      return (plan) => (plan.kind === "forward" ? ["destination_cluster", plan.cluster.name] : undefined);
    case "extension":
      if (action.value.typedConfig !== undefined && holds(action.value.typedConfig, SourceIdentitySchema))
        return sourceIdentity(
          unpack(at(field, "extension.typed_config"), action.value.typedConfig, SourceIdentitySchema),
        );
      throw invalid(
        at(field, "extension"),
        `must be a ${SourceIdentitySchema.typeName}: others are not supported`,
      );
    default:
      throw invalid(
        field,
        "must be one of request_headers, remote_address, generic_key, header_value_match, destination_cluster: others are not supported",
      );
  }
}
