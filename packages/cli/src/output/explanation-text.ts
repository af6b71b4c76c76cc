import { formatDuration } from "@tulle/base";
import type {
  ExplainedEndpoint,
  ExplainedEvent,
  ExplainedRoute,
  ExplainedStep,
  Explanation,
  HeaderMutation,
  Owner,
} from "@tulle/engine";
import pc from "picocolors";

import { terminalText } from "./terminal-text.js";

export interface ExplanationTextOptions {
  readonly colors: boolean;
}

/** Steps that have lines of their own below, made from the figures and not from the events. */
const TOLD: ReadonlySet<string> = new Set(["split", "endpoint", "timeout", "retry", "listener"]);
const WIDTH = 14;

/** An explanation for people: what comes of the request first, then how. */
export function explanationText(explanation: Explanation, options: ExplanationTextOptions): string {
  const paint = pc.createColors(options.colors);
  const lines: string[] = [];
  for (let hop: Explanation | undefined = explanation; hop !== undefined; hop = hop.next) {
    if (lines.length > 0) lines.push("");
    lines.push(...hopLines(hop, paint));
  }
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** `VirtualService default/reviews http[1] (canary.yaml:22)` */
export function ownerText({ kind, namespace, name, rule, source }: Owner): string {
  const where = source === undefined ? "" : ` (${source})`;
  return clean(`${kind} ${namespace}/${name}${rule === "" ? "" : ` ${rule}`}${where}`);
}

/** What comes of a request, in a line. */
export function resultText(explanation: Explanation): string {
  const { result, cluster, endpoints, route, split, steps, upstream } = explanation;
  const by = route?.owner === undefined ? "" : `, by ${ownerText(route.owner)}`;
  const flag = result.flag === "" ? "" : ` ${result.flag}`;
  const status = result.status === undefined ? "" : `: ${result.status}${flag}`;
  switch (result.kind) {
    case "forward":
    case "bytes": {
      const chosen = endpoints.find((endpoint) => endpoint.chosen);
      const share = split.find((one) => one.chosen);
      const of = share === undefined ? "" : `, ${percent(share.probability)} of such requests`;
      const at = chosen === undefined ? "" : ` at ${clean(chosen.address)}`;
      const what = result.kind === "bytes" ? "goes, as bytes, to" : "goes to";
      const tunnel = upstream?.tunnel === undefined ? "" : `, by CONNECT ${clean(upstream.tunnel)}`;
      return `${what} ${targetText(cluster)}${at}${tunnel}${of}${by}`;
    }
    case "reply":
      return `is answered by the route${status}${by}`;
    case "denied": {
      const filter = steps
        .find(({ step }) => step === "filter")
        ?.events.find(({ verdict, owner }) => verdict === "chosen" && owner !== undefined);
      return filter?.owner === undefined
        ? `is answered by a filter${status}${by}`
        : `is refused by ${ownerText(filter.owner)}${status}`;
    }
    case "reset":
      return `its connection is reset by a filter${by}`;
    case "no-route":
      return `no route takes it${status}`;
    case "unknown-service":
      return `the mesh knows no such service${status}`;
    case "not-ready":
      return `its configuration is not known yet${status}`;
    case "no-endpoint":
      return `nobody can take it: no usable instance of ${targetText(cluster)}${status}${by}`;
  }
}

type Paint = ReturnType<typeof pc.createColors>;

function hopLines(hop: Explanation, paint: Paint): string[] {
  const { request, direction } = hop;
  const title = `${request.method} ${request.scheme}://${request.authority}${request.path}`;
  const where = hop.gateway
    ? "at the gateway"
    : `at the ${direction === "outbound" ? "caller" : "callee"}'s sidecar`;
  const lines = [paint.bold(clean(title)) + `  ${where}`, `  ${paint.bold(`→ ${resultText(hop)}`)}`];
  if (request.requestId === undefined && hop.split.some(({ by }) => by === "chance"))
    lines.push("    the likeliest way is shown; --request-id says where one request goes");
  if (request.principal !== undefined) lines.push(`  ${"caller".padEnd(WIDTH)}${clean(request.principal)}`);
  // What the callee's sidecar lets through goes to the application beside it: only its filters have anything to say.
  const brief = direction === "inbound" && hop.result.kind === "forward";
  for (const step of hop.steps) {
    if (brief && step.step !== "filter") continue;
    lines.push(...(step.step === "split" ? splitLines(hop, paint) : stepLines(step, paint)));
  }
  lines.push(...admissionLines(hop));
  if (!brief) {
    if (hop.endpoints.length > 0) lines.push(...endpointLines(hop, paint));
    lines.push(...mirrorLines(hop, paint));
    if (hop.route !== undefined) lines.push(...routeLines(hop.route, hop));
  }
  lines.push(...answerLines(hop));
  return lines;
}

function stepLines({ step, events }: ExplainedStep, paint: Paint): string[] {
  // Of what stands below already only what was passed over has anything to add.
  const shown = TOLD.has(step) ? events.filter(({ verdict }) => verdict === "passed-over") : events;
  if (shown.length === 0) return [];
  return [
    `  ${step}`,
    ...shown.map((event) => `    ${mark(event, paint)} ${clean(event.subject)}: ${eventText(event)}`),
  ];
}

function eventText({ reason, owner }: ExplainedEvent): string {
  return clean(reason) + (owner === undefined ? "" : `  — ${ownerText(owner)}`);
}

function mark({ verdict }: Pick<ExplainedEvent, "verdict">, paint: Paint): string {
  if (verdict === "chosen") return paint.green("✓");
  return verdict === "info" ? "·" : paint.red("✗");
}

function splitLines({ split, steps, request }: Explanation, paint: Paint): string[] {
  const events = steps.find(({ step }) => step === "split")?.events ?? [];
  return [
    "  split",
    ...split.map((share, index) => {
      const verdict = share.chosen ? "chosen" : "passed-over";
      // Without an id nothing was drawn.
      const chance = `${percent(share.probability)} of requests`;
      const reason =
        request.requestId === undefined && share.by === "chance" ? chance : (events[index]?.reason ?? chance);
      return `    ${mark({ verdict }, paint)} ${targetText(share)}: ${clean(reason)}`;
    }),
  ];
}

function endpointLines({ endpoints, endpointCount }: Explanation, paint: Paint): string[] {
  const width = Math.max(...endpoints.map(({ address }) => address.length));
  const lines = endpoints.map((endpoint) => {
    const verdict = endpoint.chosen ? "chosen" : endpoint.share > 0 ? "info" : "passed-over";
    return `    ${mark({ verdict }, paint)} ${clean(endpoint.address.padEnd(width))}  ${endpointText(endpoint)}`;
  });
  if (endpointCount > endpoints.length) lines.push(`      and ${endpointCount - endpoints.length} more`);
  return ["  endpoints", ...lines];
}

function endpointText(endpoint: ExplainedEndpoint): string {
  const { health, ejection, weight, inFlight, share, mutualTls, originatedTls, workload } = endpoint;
  const parts = [health.join(", ")];
  if (ejection !== undefined) {
    parts.push(`${ejection.reason} until ${new Date(ejection.untilMs).toISOString()} at least`);
    parts.push(`ejections so far: ${ejection.ejections}`);
  }
  if (weight !== 1) parts.push(`weight ${weight}`);
  parts.push(`${inFlight} in flight`, `gets ${percent(share, 2)} of such requests`);
  parts.push(mutualTls ? "mutual TLS" : originatedTls === true ? "TLS" : "plaintext");
  if (workload !== undefined) parts.push(`${workload.namespace}/${workload.workload}`);
  return clean(parts.join(", "));
}

function routeLines(route: ExplainedRoute, { upstream, request, result }: Explanation): string[] {
  const lines: string[] = [];
  const add = (label: string, text: string): void =>
    void lines.push(`  ${label.padEnd(WIDTH)}${clean(text)}`);
  if (result.kind !== "reply") {
    add("timeout", route.timeoutMs === 0 ? "none" : formatDuration(route.timeoutMs));
    const { retry } = route;
    if (retry === undefined) add("retries", "none");
    else {
      const words = [...retry.on, ...retry.statusCodes.map(String)].filter(
        (word) => word !== "retriable-status-codes",
      );
      const tryLimit = retry.perTryTimeoutMs === 0 ? "" : `, ${formatDuration(retry.perTryTimeoutMs)} a try`;
      const backoff = `back-off up to ${retry.backoffBaseMs} ms, then up to ${retry.backoffMaxMs} ms`;
      add("retries", `${retry.attempts} on ${words.join(",")}${tryLimit}, ${backoff}`);
      const retried = retry.outcomes.filter((one) => one.retried).map(({ outcome }) => outcome);
      add("", `this ${request.method} again after: ${retried.length === 0 ? "nothing" : retried.join(", ")}`);
    }
  }
  if (route.requestHeaders.length > 0) add("request", route.requestHeaders.map(mutationText).join("; "));
  if (route.responseHeaders.length > 0) add("response", route.responseHeaders.map(mutationText).join("; "));
  if (upstream !== undefined) {
    const changed = upstream.path !== request.path || upstream.authority !== request.authority;
    if (changed) add("sent as", `${request.method} ${upstream.path}, Host ${upstream.authority}`);
    const { tls } = upstream;
    if (tls?.originated !== undefined) add("TLS", originatedText(tls.serverName, tls.originated));
    else if (tls !== undefined) add("mutual TLS", `with ${tls.spiffeIds.join(" or ")}`);
  }
  return lines;
}

type OriginatedTls = NonNullable<NonNullable<NonNullable<Explanation["upstream"]>["tls"]>["originated"]>;

function originatedText(serverName: string, { names, clientCertificate }: OriginatedTls): string {
  const verified =
    names.length === 0 ? "with anybody: the server is not verified" : `with ${names.join(" or ")}`;
  const named = serverName === "" ? "" : `, server name ${serverName}`;
  return `${verified}${named}${clientCertificate ? ", shows a certificate" : ""}`;
}

function admissionLines({ admission }: Explanation): string[] {
  if (admission === undefined) return [];
  const {
    delayMs,
    needs = [],
    requestHeaders,
    responseHeaders,
    responseBytesPerSecond,
    resetAfterBytes,
  } = admission;
  const lines: string[] = [];
  const add = (label: string, text: string): void =>
    void lines.push(`  ${label.padEnd(WIDTH)}${clean(text)}`);
  if (delayMs > 0) add("waits", formatDuration(delayMs));
  for (const { asks, assumed } of needs) add("asks", assumed ? `${asks}: its consent is assumed` : asks);
  if (requestHeaders.length > 0) add("filters", `request: ${requestHeaders.map(mutationText).join("; ")}`);
  if (responseHeaders.length > 0) add("filters", `response: ${responseHeaders.map(mutationText).join("; ")}`);
  if (responseBytesPerSecond > 0) add("filters", `the response at ${responseBytesPerSecond} bytes a second`);
  if (resetAfterBytes >= 0) add("filters", `a reset after ${resetAfterBytes} bytes of the response`);
  return lines;
}

function mirrorLines({ mirrors }: Explanation, paint: Paint): string[] {
  if (mirrors.length === 0) return [];
  return [
    "  copies",
    ...mirrors.map((mirror) => {
      const verdict = mirror.chosen ? "chosen" : "passed-over";
      return `    ${mark({ verdict }, paint)} ${targetText(mirror)}: ${percent(mirror.probability)} of requests`;
    }),
  ];
}

function answerLines({ result }: Explanation): string[] {
  const lines = (result.headers ?? []).map((header) => `  ${"answer".padEnd(WIDTH)}${clean(header)}`);
  if (result.body !== undefined && result.body !== "")
    lines.push(`  ${"body".padEnd(WIDTH)}${clean(result.body.slice(0, 200))}`);
  return lines;
}

function mutationText(mutation: HeaderMutation): string {
  if (mutation.op === "remove") return `remove ${mutation.name}`;
  return `${mutation.op} ${mutation.name}: ${mutation.value}`;
}

/** `reviews.default.svc.cluster.local:9080 v2`, or the cluster's name where that says nothing. */
function targetText(
  target:
    | { readonly host: string; readonly port: number; readonly subset: string; readonly name?: string }
    | undefined,
): string {
  if (target === undefined) return "nowhere";
  if (target.host === "") return clean(target.name ?? "nowhere");
  return clean(`${target.host}:${target.port}${target.subset === "" ? "" : ` ${target.subset}`}`);
}

function percent(share: number, digits = 4): string {
  return `${Number((share * 100).toPrecision(digits))} %`;
}

function clean(text: string): string {
  return terminalText(text);
}
