import type { RequestHop, RequestStory } from "@tulle/api";

import { clusterInWords, ownerInWords } from "./names.js";
import { tryInWords } from "./try-words.js";

/** What a request failed of, and what to do about it. */
export interface Cause {
  readonly text: string;
  readonly next: string;
}

/** The cause of a failure, found where the request came furthest; undefined when nothing failed. */
export function causeOf({ hops }: RequestStory): Cause | undefined {
  const all = hops.filter(({ record }) => record.kept === "failed");
  // Who was given up on has not failed: whoever gave up knows why, unless that is the application.
  const own = all.filter(({ record }) => record.response.flags !== "DC");
  const failed = own.length > 0 ? own : all;
  // Of hops of the same depth the last one is what the caller was answered with.
  const deepest = failed.reduce<RequestHop | undefined>(
    (found, hop) => (found === undefined || hop.depth >= found.depth ? hop : found),
    undefined,
  );
  return deepest === undefined ? undefined : explainFailure(deepest);
}

function explainFailure({ proxy, record }: RequestHop): Cause {
  const { response, request, tries, direction, cluster } = record;
  const sidecar = `the sidecar of ${proxy.service}`;
  const flags = new Set(response.flags.split(","));
  const last = tries.at(-1);
  const there = last?.endpoint ?? "the instance";
  const target =
    direction === "inbound" ? `its application at ${there}` : `${there} of ${clusterInWords(cluster)}`;
  const shed = shedCause(proxy.service, record);
  if (shed !== undefined) return shed;
  const refused = tokenCause(proxy.service, record) ?? deniedCause(proxy.service, record);
  if (refused !== undefined) return refused;
  const waited = waitCause(sidecar, record);
  if (waited !== undefined) return waited;
  if (flags.has("UF")) {
    const detail = last === undefined ? response.transportFailure : tryInWords(last);
    return direction === "inbound"
      ? {
          text: `${sidecar} could not connect to ${target}: ${detail}`,
          next: `check that the application of ${proxy.service} runs and listens on ${there}`,
        }
      : {
          text: `${sidecar} could not connect to ${target}: ${detail}`,
          next: "check that the instance and its sidecar run, and the network between here and there",
        };
  }
  if (flags.has("UC") || flags.has("UR"))
    return {
      text: `${target} closed the connection before it had answered ${sidecar}`,
      next: `look at the log of ${direction === "inbound" ? `the application of ${proxy.service}` : "that instance and of its sidecar"}`,
    };
  if (flags.has("UT"))
    return {
      text: `${sidecar} got no answer from ${target} within the timeout`,
      next: `find out why it takes so long, or raise the timeout of the route${ownerOf(record.owner)}`,
    };
  if (flags.has("UH"))
    return {
      text: `${sidecar} knows no healthy instance of ${clusterInWords(cluster) || request.authority}`,
      next: "see the instances and their checks: tulle get instances",
    };
  if (flags.has("UO"))
    return {
      text: `${sidecar} had reached a limit of ${clusterInWords(cluster) || "waiting requests"}`,
      next: "raise its connectionPool limits (DestinationRule), or add instances",
    };
  if (flags.has("NR") && record.listener === "")
    return {
      text: `${sidecar} knows no HTTP service ${request.authority}`,
      next: "check the name, and that it is registered: tulle get services",
    };
  if (flags.has("NR"))
    return {
      text: `${sidecar} has no route for ${request.method} ${request.authority}${request.path}`,
      next: "see which routes there are: tulle get virtualservices -o yaml",
    };
  if (flags.has("NC"))
    return {
      text: `${sidecar} had no configuration of ${request.authority} in time`,
      next: "see whether the proxy is connected and up to date: tulle status",
    };
  if (flags.has("DC"))
    return {
      text: `the client of ${sidecar} went away after ${Math.round(record.durationMs)} ms`,
      next: "see the client's own timeout",
    };
  if (flags.has("FI"))
    return {
      text: `${sidecar} made it fail on purpose: a fault is injected`,
      next: `remove the fault from the route${ownerOf(record.owner)} when it has served its purpose`,
    };
  const asked = askedCause(sidecar, response);
  if (asked !== undefined) return asked;
  if (flags.has("UAEX") || flags.has("RL"))
    return {
      text: `${sidecar} refused the request: ${response.details || response.flags}`,
      next: "see its policies",
    };
  if (last?.outcome === "answered")
    return direction === "inbound"
      ? {
          text: `the application of ${proxy.service} itself answered ${answerOf(record)}`,
          next: `look at the log of the application of ${proxy.service}`,
        }
      : {
          text: `${target} answered ${answerOf(record)}`,
          next: "its proxy has recorded nothing of it: look at the log of that instance",
        };
  return {
    text: `${sidecar} ended it: ${response.details || `status ${response.status}`}`,
    next: `look at the log of ${sidecar}`,
  };
}

/** No instance was ready, and requests wait for one where that is so. */
function waitCause(sidecar: string, { response, cluster, request }: RequestHop["record"]): Cause | undefined {
  const service = clusterInWords(cluster) || request.authority;
  const next = "see the instances and their checks: tulle get instances";
  switch (response.details) {
    case "no_healthy_upstream{endpoint_wait_timeout}":
      return {
        text: `no instance of ${service} was ready in the time that requests wait for one (waitForEndpoint), says ${sidecar}`,
        next,
      };
    case "no_healthy_upstream{fail_fast}":
      return {
        text: `${sidecar} failed it at once: no instance of ${service} is ready, and others had waited for one in vain (waitForEndpoint)`,
        next,
      };
    case "overflow{waiting_for_endpoint}":
      return {
        text: `no instance of ${service} was ready, and at ${sidecar} as many requests waited for one as may (waitForEndpoint.maxRequests)`,
        next,
      };
    default:
      return undefined;
  }
}

/** A token that was refused. */
function tokenCause(service: string, { response: { details } }: RequestHop["record"]): Cause | undefined {
  const token = /^jwt_authn_access_denied\{([^}]*)\}/.exec(details)?.[1];
  if (token === undefined) return undefined;
  return {
    text: `the sidecar of ${service} refused its token: ${token.replaceAll("_", " ")}`,
    next: "see which tokens are taken: tulle get requestauthentications -o yaml",
  };
}

/** What policies refused: by name, or because none of those that allow matches. */
function deniedCause(service: string, { response, principal }: RequestHop["record"]): Cause | undefined {
  const policy = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(response.details)?.[1];
  if (policy === undefined) return undefined;
  const sidecar = `the sidecar of ${service}`;
  const who = principal === "" ? "a caller without identity" : principal;
  const match = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/.exec(policy);
  if (match === null)
    return {
      text: `${sidecar} refused ${who}: no AuthorizationPolicy allows the request`,
      next: "see above which came closest and what they lack, and add a rule: tulle policy allow",
    };
  const [, namespace = "", name = "", rule = ""] = match;
  return {
    text: `${sidecar} refused ${who}: AuthorizationPolicy ${namespace}/${name} rules[${rule}] denies the request`,
    next: `see the rule: tulle get authorizationpolicy ${name} -n ${namespace} -o yaml`,
  };
}

/** What was refused because somebody had too much to do. */
function shedCause(service: string, { response, cluster }: RequestHop["record"]): Cause | undefined {
  const sidecar = `the sidecar of ${service}`;
  switch (response.details) {
    case "overload":
      return {
        text: `${sidecar} was overloaded and refused a part of the requests, this one among them`,
        next: `give it more CPU or memory, or run more instances of ${service}; its metrics envoy_overload_pressure say what is short`,
      };
    case "reached_concurrency_limit":
      return {
        text: `${sidecar} had as many requests under way as its application is found to take at once`,
        next: `run more instances of ${service}, or see adaptiveConcurrency: tulle get trafficpolicies -o yaml`,
      };
    case "denied_by_admission_control":
      return {
        text: `${sidecar} held it back, because too many requests to ${clusterInWords(cluster)} failed lately`,
        next: "find out why those failed that were sent; see admissionControl: tulle get trafficpolicies -o yaml",
      };
    default:
      return undefined;
  }
}

/** What somebody outside decided, or could not be asked. */
function askedCause(
  sidecar: string,
  { details, transportFailure }: RequestHop["record"]["response"],
): Cause | undefined {
  switch (details) {
    case "ext_authz_denied":
      return {
        text: `${sidecar} asked ${transportFailure}, which refused the request`,
        next: "look at the log of that service; who is asked about what: tulle get authorizationpolicies -o yaml",
      };
    case "ext_authz_error":
      return {
        text: `${sidecar} could not ask whether the request may pass: ${transportFailure}`,
        next: "see whether that service is well; its timeout and failOpen: tulle get meshconfigs -A -o yaml",
      };
    case "ext_authz_invalid":
      return {
        text: `${sidecar} asked, and the answer cannot be carried out: ${transportFailure}`,
        next: "correct that service: its answers must hold names and values that HTTP can carry",
      };
    case "request_rate_limited":
      return {
        text: `${sidecar} asked ${transportFailure}, which says that the request is beyond a limit`,
        next: "see the limits of that service's configuration",
      };
    case "rate_limiter_error":
      return {
        text: `${sidecar} could not ask whether the request is within its limits: ${transportFailure}`,
        next: "see whether that service is well; its timeout and failClosed: tulle get ratelimits -o yaml",
      };
    default:
      return undefined;
  }
}

function answerOf({ response: { status, grpcStatus } }: RequestHop["record"]): string {
  return grpcStatus > 0 ? `gRPC status ${grpcStatus}` : String(status);
}

function ownerOf(owner: RequestHop["record"]["owner"]): string {
  const name = ownerInWords(owner);
  return name === "" ? "" : ` (${name})`;
}
