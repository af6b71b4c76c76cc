import {
  readRecords,
  type Catalog,
  type ExplainAnswer,
  type ExplainRequest,
  type ObservedTraffic,
  type ProxyName,
  type RequestStory,
} from "@tulle/api";
import { create } from "@bufbuild/protobuf";
import { MeshError } from "@tulle/base";
import {
  ClustersQuerySchema,
  ExplainQuerySchema,
  LoadQuerySchema,
  LogLevelQuerySchema,
  TrafficQuery_Action,
  TrafficQuerySchema,
  WhyQuerySchema,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { ANSWER_MS, askKnown, isNamed, record, someAtATime } from "./ask-agent.js";
import type { AgentQuery, ConnectedAgent } from "./contract.js";
import type { KeptTraffic } from "./kept-traffic.js";
import { orderHops, type ToldRecord } from "./order-hops.js";

/** Questions of that kind at once. */
const MAX_BROADCASTS = 4;
/** Records that a story is made of. */
const MAX_HOPS = 256;
const MAX_REQUEST_ID = 1024;

export interface AgentQueriesOptions {
  readonly agents: () => readonly ConnectedAgent[];
  readonly catalog: Pick<Catalog, "service">;
  /** What proxies observed of their traffic before; absent: nothing is kept. */
  readonly kept?: Pick<KeptTraffic, "begin" | "forget" | "besides" | "keep">;
  /** Whose proxies are asked about; default: everybody's. */
  readonly mayAsk?: (namespace: string) => boolean;
}

/** What can be asked about a running proxy, by the names of the API. */
export type ProxyQuestion =
  | { readonly kind: "load"; readonly cluster: string }
  | { readonly kind: "clusters" }
  /** "" only asks. */
  | { readonly kind: "log-level"; readonly level: string };

/** Questions that are about requests and proxies, put to the proxies that know. */
export class AgentQueries {
  readonly #options: AgentQueriesOptions;
  readonly #load: { broadcasts: number };

  constructor(options: AgentQueriesOptions, load = { broadcasts: 0 }) {
    this.#options = options;
    this.#load = load;
  }

  /** The same questions for somebody who may know of the proxies of some namespaces only: others are not there. */
  limitedTo(mayAsk: (namespace: string) => boolean): AgentQueries {
    const { agents } = this.#options;
    const visible = (): readonly ConnectedAgent[] => agents().filter(({ namespace }) => mayAsk(namespace));
    return new AgentQueries({ ...this.#options, agents: visible, mayAsk }, this.#load);
  }

  /** What would become of a request. Rejects with what to do when nobody can tell. */
  async explain(request: ExplainRequest): Promise<ExplainAnswer> {
    const { from, namespace = "default", method, url, headers = [], requestId = "" } = request;
    const source = this.#find(from, namespace);
    const explanation = asObject(
      await askKnown(source, {
        case: "explain",
        value: create(ExplainQuerySchema, { method, url, headers: [...headers], requestId }),
      }),
      source,
    );
    const next = await this.#explainNext(source, request, explanation);
    return {
      explanation: next === undefined ? explanation : { ...explanation, next },
      proxy: nameOf(source),
    };
  }

  /** What every connected proxy has recorded of a request, in the order in which it went. */
  async why(requestId: string): Promise<RequestStory> {
    if (requestId === "" || requestId.length > MAX_REQUEST_ID)
      throw new MeshError("invalid", "CONTROL_REQUEST_ID", "a request id has 1 to 1,024 characters");
    const told: ToldRecord[] = [];
    const silent: { proxy: string; reason: string }[] = [];
    const agents = this.#options.agents();
    await this.#askAll(agents, async (agent) => {
      try {
        const query = { case: "why", value: create(WhyQuerySchema, { requestId }) } as const;
        const records = readRecords(await askKnown(agent, query));
        told.push(...records.map((record) => ({ ...record, agent })));
      } catch (thrown) {
        silent.push({ proxy: agent.id, reason: MeshError.from(thrown).message });
      }
    });
    silent.sort((left, right) => (left.proxy < right.proxy ? -1 : 1));
    return { requestId, hops: orderHops(told.slice(0, MAX_HOPS)), asked: agents.length, silent };
  }

  /**
   * What every proxy observed of its traffic, those among them that are not connected any more; begins or ends the observation
   * first.
   */
  async traffic(action: "read" | "start" | "stop"): Promise<ObservedTraffic> {
    const { kept, mayAsk = () => true } = this.#options;
    const { proxies, silent } = await this.connectedTraffic(action);
    const before = (await kept?.besides(proxies, mayAsk)) ?? [];
    if (action === "start") await kept?.begin();
    if (action === "stop") await kept?.forget(mayAsk);
    else await kept?.keep(proxies);
    return { proxies: [...proxies, ...before].sort(byId), silent };
  }

  /** As `traffic`, of those that are connected. */
  async connectedTraffic(action: "read" | "start" | "stop"): Promise<ObservedTraffic> {
    const proxies: { proxy: ProxyName; report: object }[] = [];
    const silent: { proxy: string; reason: string }[] = [];
    const agents = this.#options.agents();
    const value = create(TrafficQuerySchema, { action: TRAFFIC_ACTIONS[action] });
    await this.#askAll(agents, async (agent) => {
      try {
        const report = asObject(await askKnown(agent, { case: "traffic", value }), agent);
        proxies.push({ proxy: nameOf(agent), report });
      } catch (thrown) {
        silent.push({ proxy: agent.id, reason: MeshError.from(thrown).message });
      }
    });
    proxies.sort(byId);
    silent.sort((left, right) => (left.proxy < right.proxy ? -1 : 1));
    return { proxies, silent };
  }

  /** What a proxy says of itself. */
  async ask(proxy: string, question: ProxyQuestion): Promise<unknown> {
    const agents = this.#options.agents().filter(({ id }) => isNamed(proxy, id));
    const [agent] = agents;
    if (agent === undefined) throw notConnected(`no proxy ${proxy} is connected`);
    return askKnown(agent, queryOf(question));
  }

  #find(from: string, namespace: string): ConnectedAgent {
    const agents = this.#options.agents();
    const found =
      agents.find((agent) => isNamed(from, agent.id)) ??
      agents.find((agent) => agent.service === from && agent.namespace === namespace);
    if (found !== undefined) return found;
    const known = this.#options.catalog.service(namespace, from) !== undefined;
    throw notConnected(
      known
        ? `no proxy of service ${from} in namespace ${namespace} is connected`
        : `there is no service ${from} in namespace ${namespace}, and no proxy of that name is connected`,
    );
  }

  /** What the destination's own proxy makes of the request; undefined where nobody can tell. */
  async #explainNext(
    source: ConnectedAgent,
    request: ExplainRequest,
    explanation: object,
  ): Promise<object | undefined> {
    const way = wayOf(explanation);
    const destination =
      way && this.#options.agents().find(({ inboundAddress }) => inboundAddress === way.address);
    if (way === undefined || destination === undefined || !destination.queries.has("explain"))
      return undefined;
    const query: AgentQuery = {
      case: "explain",
      value: create(ExplainQuerySchema, {
        method: request.method,
        url: `http://${way.authority}${way.path}`,
        headers: [...way.headers],
        requestId: request.requestId ?? "",
        inbound: true,
        principal: way.serverName === "" ? "" : source.identity,
        serverName: way.serverName,
        remoteAddress: source.inboundAddress,
      }),
    };
    try {
      return asObject(await destination.ask(query, ANSWER_MS), destination);
    } catch {
      // The first half is true without it.
      return undefined;
    }
  }

  async #askAll(
    agents: readonly ConnectedAgent[],
    ask: (agent: ConnectedAgent) => Promise<void>,
  ): Promise<void> {
    if (this.#load.broadcasts >= MAX_BROADCASTS)
      throw new MeshError("exhausted", "CONTROL_AGENTS_BUSY", "all proxies are being asked; try again");
    this.#load.broadcasts++;
    try {
      await someAtATime(agents, ask);
    } finally {
      this.#load.broadcasts--;
    }
  }
}

function byId(left: { readonly proxy: ProxyName }, right: { readonly proxy: ProxyName }): number {
  return left.proxy.id < right.proxy.id ? -1 : 1;
}

const TRAFFIC_ACTIONS = {
  read: TrafficQuery_Action.READ,
  start: TrafficQuery_Action.START,
  stop: TrafficQuery_Action.STOP,
} as const;

function queryOf(question: ProxyQuestion): AgentQuery {
  switch (question.kind) {
    case "load":
      return { case: "load", value: create(LoadQuerySchema, { cluster: question.cluster }) };
    case "clusters":
      return { case: "clusters", value: create(ClustersQuerySchema) };
    case "log-level":
      return { case: "logLevel", value: create(LogLevelQuerySchema, { level: question.level }) };
  }
}

function nameOf({ id, service, namespace, identity, version }: ConnectedAgent): ProxyName {
  return { id, service, namespace, identity, version };
}

function notConnected(what: string): MeshError {
  return new MeshError("not-found", "CONTROL_NO_PROXY", `${what}; see which are: tulle get proxies`);
}

function asObject(value: unknown, agent: ConnectedAgent): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new MeshError(
    "unavailable",
    "CONTROL_AGENT_ANSWER",
    `${agent.id} gave no explanation; is it of another version?`,
  );
}

/** Where an explained request goes on to, as far as its explanation tells. */
interface Way {
  readonly address: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: readonly string[];
  /** "" in plaintext. */
  readonly serverName: string;
}

/** Reads what a proxy told, which may be anything. */
function wayOf(explanation: object): Way | undefined {
  const { endpoints, upstream, request } = explanation as Readonly<Record<string, unknown>>;
  const chosen = Array.isArray(endpoints)
    ? endpoints.map(record).find(({ chosen: isChosen }) => isChosen === true)
    : undefined;
  const { authority, path, tls } = record(upstream);
  const { headers } = record(request);
  const { serverName = "" } = record(tls);
  const address = chosen?.["address"];
  const texts = [address, authority, path, serverName];
  if (!texts.every((each): each is string => typeof each === "string")) return undefined;
  const [to = "", host = "", target = "", sni = ""] = texts;
  const lines = Array.isArray(headers)
    ? headers.filter((line): line is string => typeof line === "string")
    : [];
  return { address: to, authority: host, path: target, headers: lines, serverName: sni };
}
