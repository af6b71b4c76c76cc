import { create } from "@bufbuild/protobuf";
import type { EndpointDifference, EndpointsReport, HeldEndpointSet, ProxyEndpoints } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { EndpointsQuerySchema } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { askKnown, isNamed, someAtATime, type ConnectedAgent } from "../agents/index.js";
import type { ExpectedResource, PushLedger } from "../push/index.js";
import { compareSet } from "./compare-set.js";
import { registeredServices, type EndpointCatalog } from "./registered-services.js";
import { readToldSets, type ToldSets } from "./told-sets.js";

/** Reports that are made at once: each asks many proxies. */
const MAX_REPORTS = 4;

export interface EndpointReportsOptions {
  readonly catalog: EndpointCatalog;
  readonly domainSuffix: string;
  readonly ledger: Pick<PushLedger, "expected">;
  readonly agents: () => readonly ConnectedAgent[];
}

export interface EndpointsQuestion {
  /** Name of a service, a host in full, or "" for all. */
  readonly service: string;
  /** Of the service, or of all services; "" = any, which only a question for all may say. */
  readonly namespace: string;
  /** Name of the one proxy to ask; "" = all that ask for the endpoints. */
  readonly proxy: string;
}

/** Which clusters a report is about. */
interface Scope {
  /** The one host; "" = not one. */
  readonly host: string;
  /** Whether a cluster of this name is. */
  readonly has: (cluster: string) => boolean;
}

/**
 * Puts side by side what the registry has and what proxies have: the proxies are asked, and what they should have is
 * translated anew, so that nothing which may have been forgotten on the way hides a difference.
 */
export class EndpointReports {
  readonly #options: EndpointReportsOptions;
  #making = 0;

  constructor(options: EndpointReportsOptions) {
    this.#options = options;
  }

  /** Rejects with `not-found` when there is no such service or proxy, `exhausted` CONTROL_AGENTS_BUSY. */
  async report(question: EndpointsQuestion): Promise<EndpointsReport> {
    if (this.#making >= MAX_REPORTS)
      throw new MeshError("exhausted", "CONTROL_AGENTS_BUSY", "all proxies are being asked; try again");
    this.#making++;
    try {
      return await this.#report(question);
    } finally {
      this.#making--;
    }
  }

  async #report({ service, namespace, proxy }: EndpointsQuestion): Promise<EndpointsReport> {
    const { catalog } = this.#options;
    const isHost = service.includes(".");
    const host = service === "" || isHost ? service.toLowerCase() : this.#hostOf(service, namespace);
    const services = isHost
      ? registeredServices(catalog, "", "").filter((each) => this.#hostOf(each.name, each.namespace) === host)
      : registeredServices(catalog, namespace, service.toLowerCase());
    const scope = this.#scopeOf(host, namespace);
    const followers = [...this.#expected(scope, proxy)].map(([id]) => id).sort();
    if (services.length === 0 && followers.length === 0 && service !== "") {
      const where = namespace === "" || isHost ? "" : ` in namespace ${namespace}`;
      throw new MeshError(
        "not-found",
        "CONTROL_NO_SERVICE",
        `there is no service ${service}${where}; see: tulle get services`,
      );
    }
    const agents = new Map(this.#options.agents().map((agent) => [agent.id, agent]));
    if (proxy !== "" && followers.length === 0) throw this.#noProxy(proxy, service, agents);
    const proxies: ProxyEndpoints[] = [];
    await someAtATime(followers, async (id) => {
      proxies.push(await this.#proxy(id, scope, agents.get(id)));
    });
    proxies.sort((a, b) => (a.proxy < b.proxy ? -1 : 1));
    return { services, proxies };
  }

  async #proxy(id: string, scope: Scope, agent: ConnectedAgent | undefined): Promise<ProxyEndpoints> {
    if (agent === undefined)
      return this.#untold(id, scope, "it does not answer questions (no sidecar of Tulle's)");
    try {
      const first = await this.#compare(agent, scope);
      // What is just on its way is there when the proxy has answered once more.
      return first.differences.length === 0 ? first : await this.#compare(agent, scope);
    } catch (thrown) {
      return this.#untold(id, scope, MeshError.from(thrown).message);
    }
  }

  async #compare(agent: ConnectedAgent, scope: Scope): Promise<ProxyEndpoints> {
    const query = { case: "endpoints", value: create(EndpointsQuerySchema, { host: scope.host }) } as const;
    const told = readToldSets(await askKnown(agent, query));
    const sets: HeldEndpointSet[] = [];
    const differences: EndpointDifference[] = [];
    const expected = this.#expected(scope, agent.id).get(agent.id) ?? [];
    const known = new Set<string>();
    for (const each of expected) {
      known.add(each.name);
      sets.push(toldSet(each, told));
      if (told.sets.has(each.name) || !told.cut)
        differences.push(...compareSet(each.name, each.resource, told.sets.get(each.name)));
    }
    for (const [name, set] of told.sets) {
      if (known.has(name) || !scope.has(name)) continue;
      sets.push({ name, state: "absent", expectedVersion: "", ...contentOf(set) });
      differences.push(...compareSet(name, undefined, set));
    }
    return { proxy: agent.id, sets, differences };
  }

  /** What is known of a proxy that tells nothing. */
  #untold(id: string, scope: Scope, silent: string): ProxyEndpoints {
    const expected = this.#expected(scope, id).get(id) ?? [];
    const differences = expected
      .filter(({ state }) => state === "stale" || state === "nack")
      .map(({ name, state }): EndpointDifference => ({
        kind: "unknown",
        set: name,
        address: "",
        message: `${state === "nack" ? "it refused the newest endpoints" : "it has not acknowledged the newest endpoints"}: ${silent}`,
      }));
    const sets = expected.map(({ name, state, resource }) => ({
      name,
      state,
      expectedVersion: resource?.version ?? "",
    }));
    return { proxy: id, sets, differences, silent };
  }

  #scopeOf(host: string, namespace: string): Scope {
    const end = host !== "" ? `|${host}` : namespace !== "" ? this.#hostOf("", namespace) : "";
    return { host, has: (cluster) => cluster.endsWith(end) };
  }

  #expected({ has }: Scope, proxy: string): ReadonlyMap<string, readonly ExpectedResource[]> {
    return this.#options.ledger.expected(ENDPOINT_TYPE, has, (id) => proxy === "" || isNamed(proxy, id));
  }

  #hostOf(name: string, namespace: string): string {
    return `${name}.${namespace}.svc.${this.#options.domainSuffix}`.toLowerCase();
  }

  #noProxy(proxy: string, service: string, agents: ReadonlyMap<string, unknown>): MeshError {
    const connected = [...agents.keys()].some((id) => isNamed(proxy, id));
    const what = connected
      ? `the proxy ${proxy} asks for no endpoints${service === "" ? "" : ` of ${service}`}`
      : `no proxy ${proxy} is connected; see which are: tulle get proxies`;
    return new MeshError("not-found", "CONTROL_NO_PROXY", what);
  }
}

function toldSet({ name, state, resource }: ExpectedResource, told: ToldSets): HeldEndpointSet {
  const set = told.sets.get(name);
  const base = { name, state, expectedVersion: resource?.version ?? "" };
  if (set !== undefined) return { ...base, ...contentOf(set) };
  return told.cut ? base : { ...base, version: "", changedAt: 0, endpoints: [] };
}

function contentOf({
  version,
  changedAt,
  endpoints,
}: {
  readonly version: string;
  readonly changedAt: number;
  readonly endpoints: HeldEndpointSet["endpoints"];
}): Pick<HeldEndpointSet, "version" | "changedAt" | "endpoints"> {
  return { version, changedAt, ...(endpoints === undefined ? {} : { endpoints }) };
}
