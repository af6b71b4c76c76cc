import type {
  HTTPLocalRateLimitPolicySpec,
  HTTPRouteSpec,
  MeshObject,
  RateLimitSpec,
  VirtualServiceSpec,
} from "@tulle/api";
import { GRPC_ROUTE, HTTP_ROUTE, SERVER, VIRTUAL_SERVICE } from "../../kinds.js";
import { portNamed } from "../../mesh-service.js";
import type { Analysis } from "../analysis.js";
import { isUndeclared } from "./references.js";

/** What a HealthCheck or a TrafficPolicy is about. */
interface Target {
  readonly host: string;
  readonly port?: number;
  readonly subset?: string;
}

/** IST0101: the service, the port or the subset that a HealthCheck or TrafficPolicy names is not there. */
export function analyzeTarget(analysis: Analysis, object: MeshObject<Target>): void {
  const { host, port, subset } = object.spec;
  // A wildcard is for whatever there is, today or later.
  if (host.includes("*") || isMissing(analysis, object, host)) return;
  const { service } = analysis.resolve(host, object.metadata.namespace);
  if (service === undefined) return;
  if (port !== undefined && portNamed(service, port) === undefined) {
    const known = service.ports.map(({ number }) => number).join(", ");
    const message = `${service.host} has no port ${port}; it has ${known === "" ? "none" : known}`;
    analysis.report("IST0101", object, "spec.port", message);
  }
  if (subset !== undefined && isUndeclared(analysis, object.metadata.namespace, service, subset)) {
    analysis.report("IST0101", object, "spec.subset", `${service.host} has no subset ${subset}`);
  }
}

/** IST0101: the service that a RateLimit names is not there. */
export function analyzeRateLimit(analysis: Analysis, object: MeshObject<RateLimitSpec>): void {
  const { host } = object.spec;
  if (host !== undefined) isMissing(analysis, object, host);
}

/** IST0101: the Server that a policy of Linkerd's is for is not there. */
export function analyzeServerTarget(
  analysis: Analysis,
  object: MeshObject<HTTPLocalRateLimitPolicySpec>,
): void {
  const { namespace } = object.metadata;
  const { name } = object.spec.targetRef;
  const isThere = analysis
    .objects(SERVER)
    .some(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  if (isThere) return;
  const message = `there is no Server ${name} in namespace ${namespace}: the ${object.kind} has no effect`;
  analysis.report("IST0101", object, "spec.targetRef.name", message);
}

/** Whether routes of gateways are written for a host: policies hold there by it. */
function isAtEdge(analysis: Analysis, host: string): boolean {
  const wanted = host.toLowerCase();
  const isWritten = (hosts: readonly string[] = []): boolean =>
    hosts.some((written) => written.toLowerCase() === wanted);
  return (
    analysis
      .objects<VirtualServiceSpec>(VIRTUAL_SERVICE)
      .some(({ spec }) => (spec.gateways ?? []).some((name) => name !== "mesh") && isWritten(spec.hosts)) ||
    [HTTP_ROUTE, GRPC_ROUTE].some((kind) =>
      analysis.objects<Pick<HTTPRouteSpec, "hostnames">>(kind).some(({ spec }) => isWritten(spec.hostnames)),
    )
  );
}

function isMissing(analysis: Analysis, object: MeshObject, host: string): boolean {
  if (!analysis.isUnknown(host, object.metadata.namespace) || isAtEdge(analysis, host)) return false;
  analysis.report(
    "IST0101",
    object,
    "spec.host",
    `there is no service ${host}: the ${object.kind} has no effect`,
  );
  return true;
}
