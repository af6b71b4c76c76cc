import type {
  MeshObject,
  ProxyDefaultsSpec,
  ServiceDefaultsSpec,
  ServiceResolverSpec,
  ServiceRouterSpec,
  ServiceSplitterSpec,
} from "@tulle/api";
import { formatAddress } from "@tulle/base";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { chainOf, type ChainProblem } from "../../consul/chain.js";
import { chainProblems } from "../../consul/problems.js";
import { fullHost } from "../../hosts.js";
import { outboundClusterName, routeConfigurationName } from "../../names.js";
import { Translation } from "../../translation.js";
import type { Analysis } from "../analysis.js";
import { portsOf, remark } from "./carried-out.js";

type ChainEntry = MeshObject<ServiceRouterSpec | ServiceSplitterSpec | ServiceResolverSpec>;

/** Found once for all entries of one run: what a reader reads changes. */
const problemsOf = new WeakMap<Analysis, readonly ChainProblem[]>();

/** TUL0010, IST0101: what of an entry's chain cannot be, and services in it that are not there. */
export function analyzeChain(analysis: Analysis, object: ChainEntry): void {
  const { reader } = analysis;
  const problems = problemsOf.get(analysis) ?? chainProblems(reader);
  problemsOf.set(analysis, problems);
  for (const problem of problems) {
    if (problem.object === object) analysis.report("TUL0010", object, problem.path, problem.message);
  }
  const { namespace, name } = object.metadata;
  const t = new Translation(reader, analysis.view(namespace));
  for (const { owner, field, parts } of chainOf(t, { namespace, name }).routes) {
    if (owner !== object) continue;
    for (const { target } of parts) {
      for (const { id } of [target, ...target.failover]) {
        if (!analysis.isUnknown(fullHost(id, analysis.domain), namespace)) continue;
        const path = field === "" ? "spec" : `spec.${field}`;
        analysis.report("IST0101", object, path, `there is no service ${id.name}: calls to it fail`);
      }
    }
  }
}

/** TUL0001: what translation does without of what an entry says. */
export function analyzeChainCarriedOut(analysis: Analysis, object: ChainEntry): void {
  const host = fullHost(object.metadata, analysis.domain);
  const { service } = analysis.resolve(host, object.metadata.namespace);
  for (const port of portsOf(service)) {
    const authority = formatAddress(host, port);
    remark(analysis, object, [
      [LISTENER_TYPE, authority],
      [ROUTE_TYPE, routeConfigurationName(host, port)],
      [CLUSTER_TYPE, outboundClusterName(host, port)],
    ]);
  }
}

const CARRIED_OUT = new Set(["protocol", "upstreamConfig", "rateLimits", "meta", "config"]);

/** TUL0001: defaults of services and proxies that nobody goes by. */
export function analyzeDefaults(
  analysis: Analysis,
  object: MeshObject<ServiceDefaultsSpec | ProxyDefaultsSpec>,
): void {
  for (const name of Object.keys(object.spec)) {
    if (!CARRIED_OUT.has(name)) analysis.report("TUL0001", object, `spec.${name}`, "is not carried out");
  }
  for (const name of Object.keys((object.spec as ProxyDefaultsSpec).config ?? {})) {
    if (name !== "protocol")
      analysis.report("TUL0001", object, `spec.config.${name}`, "of config only protocol is carried out");
  }
  if (object.kind === "ProxyDefaults" && object.metadata.name !== "global")
    analysis.report("TUL0001", object, "metadata.name", 'only the entry "global" holds');
}
