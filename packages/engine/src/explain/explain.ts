import { normalizePath } from "@tulle/http";
import { hasSteps } from "../admit/admit.js";
import { affinityOf } from "../affinity/affinity-of.js";
import type { DecisionView, EngineRequest, LoadTable, Plan, ReplyPlan, Routed } from "../contract.js";
import { entropyOf } from "../entropy.js";
import { pick } from "../pick/pick.js";
import { endpointHost } from "../route/endpoint-host.js";
import { headerValue } from "../route/header-value.js";
import { gatewayChain, isGateway } from "../route/gateway-chain.js";
import { INBOUND_LISTENER, selectChain } from "../route/inbound-chains.js";
import { routeConnection } from "../route/route-connection.js";
import { route } from "../route/route.js";
import { withoutPort } from "../route/virtual-hosts.js";
import type { HttpChain, Snapshot, TcpChain, UpstreamTls } from "../snapshot/contract.js";
import { EXPLANATION_VERSION, type ExplainedResult, type Explanation, type Question } from "./contract.js";
import {
  admitAll,
  admitBytes,
  denial,
  headerLines,
  type Admitted,
  type KnownFacts,
} from "./explain-admission.js";
import { endpointsOf, explainCluster, explainEndpoints } from "./explain-cluster.js";
import { explainMirrors, explainRoute, explainSplit } from "./explain-route.js";
import { FrozenLoad } from "./frozen-load.js";
import { ownerOf } from "./owner.js";
import { factsFor } from "./explain-facts.js";
import { Recorder } from "./recorder.js";

/** What an explanation looks at: nothing of it is changed. */
export interface ExplainView {
  readonly snapshot: Snapshot;
  readonly load: LoadTable;
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** Overrides the request id's. */
  readonly entropy?: number | undefined;
  /** What filters would ask the outside, as far as it is known here. */
  readonly known?: KnownFacts | undefined;
}

type Parts = Pick<Explanation, "result"> & Partial<Omit<Explanation, "version" | "direction" | "request">>;

/** What live traffic would get; the reasons go to the recorder of `view`. */
type TracedView = DecisionView & {
  readonly trace: Recorder;
  readonly known: KnownFacts | undefined;
};

/**
 * Explains what becomes of a request in this snapshot, and why. Decides with the very functions that live traffic goes
 * through, and changes nothing: counters and turns are as before.
 *
 * Chance follows the request id. Without one the likeliest cluster of a split is followed; all are listed with their
 * probabilities in any case.
 */
export function explain(view: ExplainView, asking: Question): Explanation {
  const gateway = asking.direction === "outbound" && isGateway(view.snapshot);
  const question = gateway ? atGateway(view.snapshot, asking) : asking;
  const { direction, principal } = question;
  const requestId = question.requestId ?? headerValue(question.request.headers, "x-request-id");
  const chain = chainOf(view.snapshot, question);
  const asked = { ...question.request, clientCertificate: principal !== undefined };
  const request =
    chain !== undefined && chain !== null && chain.protocol === "http"
      ? { ...asked, path: normalizePath(asked.path, chain.pathNormalization) }
      : asked;
  const entropy =
    view.entropy ??
    (requestId === undefined
      ? likeliestEntropy(view, chain, { ...question, request })
      : entropyOf(requestId));
  const recorder = new Recorder();
  const { snapshot, now, known } = view;
  const traced = { snapshot, now, entropy, load: new FrozenLoad(view.load), trace: recorder, known };
  const parts = explainChain(traced, chain, request, question);
  return {
    version: EXPLANATION_VERSION,
    direction,
    ...(gateway && { gateway }),
    request: {
      method: request.method,
      scheme: request.scheme,
      authority: request.authority,
      path: request.path,
      headers: headerLines(request.headers),
      ...(requestId === undefined ? {} : { requestId }),
      ...(principal === undefined ? {} : { principal }),
    },
    configuration: snapshot.sequence,
    split: [],
    mirrors: [],
    endpoints: [],
    endpointCount: 0,
    ...parts,
    steps: recorder.steps(question.locate),
  };
}

/** A question with what the URL tells of the connection that the request comes by. */
function atGateway(snapshot: Snapshot, question: Question): Question {
  const { request } = question;
  const { serverName = request.scheme === "https" ? withoutPort(request.authority) : "" } = question;
  const port = question.port ?? gatewayChain(snapshot, request, serverName)?.destinationPort;
  return { ...question, serverName, port };
}

type FoundChain = HttpChain | TcpChain | undefined | null;

/** What carries the request; undefined = not known (yet), null = there is nothing by that name. */
function chainOf(snapshot: Snapshot, question: Question): FoundChain {
  if (question.direction === "inbound") {
    if (snapshot.inbound(INBOUND_LISTENER) === undefined) return undefined;
    const transport = question.principal === undefined ? "plaintext" : "mtls";
    const offered = transport === "mtls" ? "h2" : "http/1.1";
    const chain = selectChain(snapshot, transport, question.serverName ?? "", offered);
    return chain?.http ?? chain?.tcp ?? null;
  }
  if (isGateway(snapshot)) {
    const { http, tcp } = gatewayChain(snapshot, question.request, question.serverName) ?? {};
    return http ?? tcp ?? null;
  }
  const chain = snapshot.outbound(question.request.authority);
  return chain?.protocol === "detected" ? (chain.http ?? chain.tcp) : chain;
}

function explainChain(
  view: TracedView,
  chain: FoundChain,
  request: EngineRequest,
  question: Question,
): Parts {
  const { authority } = request;
  const subject = question.direction === "inbound" ? INBOUND_LISTENER : authority;
  if (chain === undefined || chain === null || !chain.warm) {
    const absent = chain === null;
    const reason = absent
      ? whyNothing(question, isGateway(view.snapshot))
      : "its configuration has not come from the control plane yet";
    view.trace.add({ step: "listener", subject, verdict: "passed-over", reason });
    return {
      result: absent
        ? { kind: "unknown-service", status: 404, flag: "NR" }
        : { kind: "not-ready", status: 503, flag: "NC" },
    };
  }
  const carries = chain.protocol === "http" ? "carries HTTP" : "carries bytes: no request is read on it";
  view.trace.add({ step: "listener", subject: chain.name, verdict: "chosen", reason: carries });
  if (chain.protocol === "tcp") return explainBytes(view, chain, question);
  const routed = route(view, chain, request);
  if (routed.kind === "no-route") return { result: NO_ROUTE };
  const admitted = admitAll(view, chain, routed, factsFor(request, question), view.known);
  switch (admitted.routed.kind) {
    case "no-route":
      return { result: NO_ROUTE, ...didOf(admitted) };
    case "reply":
      return explainReply(admitted, admitted.routed, request, question);
    case "forward":
      return explainForward(view, chain, admitted, admitted.routed, request, question);
  }
}

const NO_ROUTE: ExplainedResult = { kind: "no-route", status: 404, flag: "NR" };

function didOf({ did }: Admitted): Pick<Explanation, "admission"> {
  return did === undefined ? {} : { admission: did };
}

function whyNothing({ direction, request, principal }: Question, gateway: boolean): string {
  if (direction === "outbound" && gateway)
    return `no server of this gateway's Gateways takes ${request.scheme} for ${request.authority}`;
  if (direction === "outbound") return `the mesh has no service or VirtualService for ${request.authority}`;
  return principal === undefined
    ? "no filter chain takes plaintext for it: mutual TLS is required"
    : "no filter chain takes mutual TLS for this server name";
}

function explainReply(
  admitted: Admitted,
  reply: ReplyPlan,
  request: EngineRequest,
  { locate }: Question,
): Parts {
  const owner = ownerOf(reply.provenance, locate);
  const answer: ExplainedResult = {
    kind: "reply",
    status: reply.status,
    flag: "",
    body: reply.body,
    headers: headerLines(reply.headers(request)),
  };
  return {
    result: denial(admitted) ?? answer,
    ...didOf(admitted),
    route: {
      name: reply.routeName,
      ...(owner === undefined ? {} : { owner }),
      timeoutMs: 0,
      idleTimeoutMs: 0,
      requestHeaders: [],
      responseHeaders: reply.responseHeaders,
    },
  };
}

function explainForward(
  view: TracedView,
  chain: HttpChain,
  admitted: Admitted,
  plan: Plan,
  request: EngineRequest,
  { locate }: Question,
): Parts {
  const denied = denial(admitted);
  return {
    route: explainRoute(view, plan, request, locate),
    split: explainSplit(view, view.trace),
    cluster: explainCluster(plan.cluster, view.load, locate),
    mirrors: explainMirrors(view, plan),
    endpointCount: endpointsOf(view, plan).length,
    ...didOf(admitted),
    ...(denied === undefined ? explainPick(view, chain, plan, request) : { result: denied }),
  };
}

function explainBytes(view: TracedView, chain: TcpChain, question: Question): Parts {
  const { locate, request } = question;
  const { refusal, ...did } = admitBytes(view, chain, factsFor(request, question), view.known);
  if (refusal !== undefined) return { result: { kind: "reset", flag: refusal.flag }, ...did };
  const plan = routeConnection(view, chain);
  const picked = explainPick(view, chain, plan, request);
  return {
    ...picked,
    ...did,
    split: explainSplit(view, view.trace),
    cluster: explainCluster(plan.cluster, view.load, locate),
    endpointCount: endpointsOf(view, plan).length,
    result: picked.result.kind === "forward" ? { kind: "bytes", flag: "" } : picked.result,
  };
}

function explainPick(
  view: TracedView,
  chain: HttpChain | TcpChain,
  plan: Plan,
  request: EngineRequest,
): Parts {
  const written = plan.authorityOf?.(request) ?? plan.rewriteAuthority;
  const upstream = {
    authority: written ?? request.authority,
    path: plan.rewritePath === undefined ? request.path : plan.rewritePath(request.path),
    ...(chain.protocol === "tcp" && chain.tunnel !== undefined && { tunnel: chain.tunnel.target }),
  };
  if (plan.cluster.originalDestination) {
    const reason = "the connection goes on to where the caller's was going";
    view.trace.add({ step: "endpoint", subject: plan.cluster.name, verdict: "chosen", reason });
    return { result: { kind: "forward", flag: "" }, upstream };
  }
  const asked = chain.protocol === "http" ? request : undefined;
  const affinity = affinityOf(view, plan, asked, "");
  const picked = pick(view, plan, { attempts: 0, triedSlots: [], affinity, probes: true });
  if ("kind" in picked) {
    const result: ExplainedResult = { kind: "no-endpoint", status: 503, flag: picked.flag };
    return { result, endpoints: explainEndpoints(view, plan, asked, undefined) };
  }
  const { tls } = picked;
  return {
    result: { kind: "forward", flag: "" },
    endpoints: explainEndpoints(view, plan, asked, picked),
    upstream: {
      ...upstream,
      ...(written === undefined && { authority: endpointHost(plan, picked) ?? request.authority }),
      ...(tls === undefined ? {} : { tls: explainTls(tls) }),
    },
  };
}

function explainTls(tls: UpstreamTls): NonNullable<NonNullable<Explanation["upstream"]>["tls"]> {
  if (tls.kind === "mesh") return { serverName: tls.sni, spiffeIds: [...tls.spiffeIds] };
  const names = tls.names.map(({ value }) => value);
  const originated = { names, clientCertificate: tls.certificate !== undefined };
  return { serverName: tls.sni, spiffeIds: [], originated };
}

/** Entropies that are tried to find one that goes the likeliest way. */
const TRIES = 512;

/**
 * An entropy with which the request goes the likeliest way: to the likeliest cluster of its split, by the exact chances,
 * and then as filters do with most.
 */
function likeliestEntropy(view: ExplainView, chain: FoundChain, question: Question): number {
  if (chain === undefined || chain === null) return 0;
  const { snapshot, now } = view;
  const { request } = question;
  const load = new FrozenLoad(view.load);
  const recorder = new Recorder();
  const decide = (entropy: number, trace?: Recorder): Routed => {
    const seen = { snapshot, now, load, entropy, trace };
    return chain.protocol === "http" ? route(seen, chain, request) : routeConnection(seen, chain);
  };
  const first = decide(0, recorder);
  const likeliest = likeliestCluster(recorder);
  const mayBeStopped = chain.protocol === "http" && first.kind !== "no-route" && hasSteps(chain, first);
  // By far the most requests: chance has no say in it.
  if (likeliest === undefined && !mayBeStopped && !hasShares(recorder)) return 0;
  const counts = new Map<string, { count: number; readonly first: number }>();
  for (let entropy = 0; entropy < TRIES; entropy++) {
    const routed = decide(entropy);
    if (likeliest !== undefined && (routed.kind !== "forward" || routed.cluster.name !== likeliest)) continue;
    let key: string = routed.kind;
    if (chain.protocol === "http" && routed.kind !== "no-route" && hasSteps(chain, routed)) {
      const seen = { snapshot, now, load, entropy };
      const admitted = admitAll(seen, chain, routed, factsFor(request, question), view.known);
      key = JSON.stringify([denial(admitted), admitted.did]);
    }
    const same = counts.get(key);
    if (same === undefined) counts.set(key, { count: 1, first: entropy });
    else same.count++;
  }
  let best = { count: 0, first: 0 };
  for (const one of counts.values()) if (one.count > best.count) best = one;
  return best.first;
}

/** Whether chance decides which route a request takes. */
function hasShares(recorder: Recorder): boolean {
  return recorder.of("route").some(({ facts }) => facts?.["probability"] !== undefined);
}

function likeliestCluster(recorder: Recorder): string | undefined {
  let likeliest: string | undefined;
  let best = 0;
  for (const { subject, facts } of recorder.of("split")) {
    const probability = Number(facts?.["probability"] ?? 0);
    if (probability <= best) continue;
    best = probability;
    likeliest = subject;
  }
  return likeliest;
}
