import type {
  AnalysisAnswer,
  AnalysisQuestion,
  EffectivePolicyReport,
  EndpointsReport,
  ExplainAnswer,
  ExplainRequest,
  MeshInfo,
  AuthorityStatus,
  IssuedCertificate,
  MeshStatus,
  ObservedTraffic,
  RequestStory,
  Subject,
} from "@tulle/api";
import { MeshError, systemClock, type Clock } from "@tulle/base";
import { AccessTokenClient } from "./access-tokens.js";
import { RegistrationClient } from "./registration.js";
import { ResourceClient } from "./resources.js";
import { isObject } from "./three-way-merge.js";
import { Transport, type Fetch } from "./transport.js";

const DEFAULT_TIMEOUT_MS = 10_000;

export interface ClientOptions {
  /** `http://127.0.0.1:8500`, or `host:port`. */
  readonly server: string;
  /** Default: the host's. */
  readonly fetch?: Fetch;
  readonly clock?: Clock;
  /** Of every call; default 10 s. */
  readonly timeoutMs?: number;
  /** Logs in with it; a program's default is not to. */
  readonly token?: string;
}

export interface JoinTokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Default 10 minutes. */
  readonly ttlSeconds?: number;
}

export interface JoinToken {
  /** Good for one workload of that account, once. */
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

export interface EndpointsQuestion {
  /** Name of a service, or a host in full; default all services. */
  readonly service?: string;
  /** Of the service; default `default`. */
  readonly namespace?: string;
  /** The one proxy to ask; default all that ask for the endpoints. */
  readonly proxy?: string;
}

export interface EffectivePolicyQuestion {
  /** A service's name, or any host. */
  readonly host: string;
  /** Of the service; default `default`. */
  readonly namespace: string;
  /** Namespace and labels of the clients; default the service's namespace. */
  readonly from: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Everything that the control plane's HTTP API offers. */
export interface Client {
  /** Base URL without a slash at its end. */
  readonly server: string;
  /** The kinds that users write. */
  readonly resources: ResourceClient;
  /** Services and their instances. */
  readonly registry: RegistrationClient;
  info(): Promise<MeshInfo>;
  status(): Promise<MeshStatus>;
  joinToken(request: JoinTokenRequest): Promise<JoinToken>;
  /** Begins to replace the authority's root. */
  rotateRoot(): Promise<AuthorityStatus>;
  /** Takes a certificate back by its serial number, or all that a SPIFFE id has. */
  revoke(what: string): Promise<readonly IssuedCertificate[]>;
  /** Tokens for people and programs. */
  readonly accessTokens: AccessTokenClient;
  /** Who the control plane takes the caller for. */
  whoAmI(): Promise<Subject>;
  /** What is doubtful in the configuration, with some objects as if they were applied. */
  analyze(question: AnalysisQuestion): Promise<AnalysisAnswer>;
  /** What would become of a request that a service's proxy got now. */
  explain(request: ExplainRequest): Promise<ExplainAnswer>;
  /** What became of a request that was made: what proxies have recorded of it. */
  why(requestId: string): Promise<RequestStory>;
  /** What connected proxies observed of their traffic; `observe` begins or ends the observation first. */
  traffic(observe?: boolean): Promise<ObservedTraffic>;
  /** How much a running proxy logs; changed to `level` first when there is one. */
  logLevel(proxy: string, level?: string): Promise<{ readonly level: string }>;
  /** Instances as they are registered, and the endpoints that proxies have. */
  endpoints(question?: EndpointsQuestion): Promise<EndpointsReport>;
  /** What holds for calls to a service or host. */
  effectivePolicy(question: EffectivePolicyQuestion): Promise<EffectivePolicyReport>;
}

/**
 * A client of the control plane at `server`. Holds no connection of its own: nothing needs closing. Calls reject with
 * MeshError only: the server's own refusals (an InvalidObjectError lists all violations), `unavailable`
 * CLIENT_UNREACHABLE, `timeout` CLIENT_TIMEOUT.
 */
export function createClient(options: ClientOptions): Client {
  const transport = new Transport({
    server: options.server,
    fetch: options.fetch ?? globalThis.fetch,
    clock: options.clock ?? systemClock,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    token: options.token,
  });
  return {
    server: transport.server,
    resources: new ResourceClient(transport),
    registry: new RegistrationClient(transport),
    info: async () =>
      expectObject(await transport.call({ method: "GET", path: "/tulle/v1/info" })) as MeshInfo,
    status: async () =>
      expectObject(await transport.call({ method: "GET", path: "/tulle/v1/status" })) as MeshStatus,
    accessTokens: new AccessTokenClient(transport),
    whoAmI: async () =>
      expectObject(await transport.call({ method: "GET", path: "/tulle/v1/who-am-i" })) as Subject,
    joinToken: async (request) =>
      expectObject(
        await transport.call({ method: "POST", path: "/tulle/v1/join-tokens", body: request }),
      ) as JoinToken,
    rotateRoot: async () =>
      expectObject(
        await transport.call({ method: "POST", path: "/tulle/v1/ca/rotate", body: {} }),
      ) as AuthorityStatus,
    revoke: async (what) => {
      const call = { method: "POST", path: "/tulle/v1/ca/revoke", body: { what } };
      const { revoked } = expectObject(await transport.call(call)) as {
        readonly revoked: readonly IssuedCertificate[];
      };
      return revoked;
    },
    analyze: async (question) =>
      expectObject(
        await transport.call({ method: "POST", path: "/tulle/v1/analyze", body: question }),
      ) as AnalysisAnswer,
    explain: async (request) =>
      expectObject(
        await transport.call({ method: "POST", path: "/tulle/v1/explain", body: request }),
      ) as ExplainAnswer,
    why: async (requestId) =>
      expectObject(
        await transport.call({ method: "GET", path: `/tulle/v1/why/${encodeURIComponent(requestId)}` }),
      ) as RequestStory,
    traffic: async (observe) => {
      const path = "/tulle/v1/traffic";
      const call =
        observe === undefined ? { method: "GET", path } : { method: "PUT", path, body: { observe } };
      return expectObject(await transport.call(call)) as ObservedTraffic;
    },
    logLevel: async (proxy, level) => {
      const path = `/tulle/v1/proxies/${encodeURIComponent(proxy)}/log-level`;
      const call = level === undefined ? { method: "GET", path } : { method: "PUT", path, body: { level } };
      return expectObject(await transport.call(call)) as { readonly level: string };
    },
    endpoints: async ({ service, namespace, proxy } = {}) => {
      const query = {
        ...(service === undefined ? {} : { service }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(proxy === undefined ? {} : { proxy }),
      };
      return expectObject(
        await transport.call({ method: "GET", path: `/tulle/v1/endpoints?${queryText(query)}` }),
      ) as EndpointsReport;
    },
    effectivePolicy: async ({ host, namespace, from, labels = {} }) => {
      const query = {
        host,
        namespace,
        from,
        label: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
      };
      return expectObject(
        await transport.call({ method: "GET", path: `/tulle/v1/effective-policy?${queryText(query)}` }),
      ) as EffectivePolicyReport;
    },
  };
}

function expectObject({ body }: { readonly body: unknown }): unknown {
  if (isObject(body)) return body;
  const message = "the answer is not one of a Tulle control plane; check the server's address";
  throw new MeshError("internal", "CLIENT_UNEXPECTED_ANSWER", message, { source: "control" });
}

function queryText(query: Readonly<Record<string, string | readonly string[]>>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === "string" ? [value] : value) parameters.append(name, one);
  }
  return parameters.toString();
}
