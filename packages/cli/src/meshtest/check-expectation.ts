import { parseShare, type ExpectedHeaders, type MeshTestExpectation } from "@tulle/api";
import { parseDuration } from "@tulle/base";
import type { Explanation, ExplainedShare, HeaderMutation } from "@tulle/engine";

/** Something that is not as expected. */
export interface Mismatch {
  /** Below `expect`: `split.v2`. */
  readonly path: string;
  readonly expected: string;
  readonly actual: string;
}

/** Shares are made of whole weights: what differs by less is equal. */
const TOLERANCE = 1e-9;

/** Compares what becomes of a request with what is expected of it; empty when all of it is so. */
export function checkExpectation(
  explanation: Explanation,
  expectation: MeshTestExpectation,
): readonly Mismatch[] {
  const found = new Findings();
  const { route, upstream } = explanation;
  const result = resultOf(explanation);
  found.equal("result", expectation.result, result.kind);
  found.equal("route", expectation.route, route?.name);
  checkRule(found, explanation, expectation.rule);
  checkDestination(found, explanation, expectation.destination);
  checkSplit(found, explanation, expectation.split);
  found.equal("rewrite.path", expectation.rewrite?.path, upstream?.path);
  found.equal("rewrite.authority", expectation.rewrite?.authority, upstream?.authority);
  checkHeaders(found, "requestHeaders", expectation.requestHeaders, route?.requestHeaders ?? []);
  checkHeaders(found, "responseHeaders", expectation.responseHeaders, route?.responseHeaders ?? []);
  found.duration("timeout", expectation.timeout, route?.timeoutMs);
  checkRetries(found, explanation, expectation.retries);
  checkShares(found, "mirrors", explanation.mirrors, expectation.mirrors);
  checkFault(found, explanation, expectation.fault);
  checkReplies(found, explanation, expectation);
  found.equal("status", expectation.status, result.status);
  found.equal(
    "mutualTls",
    expectation.mutualTls,
    upstream === undefined ? undefined : upstream.tls !== undefined,
  );
  checkEndpoints(found, explanation, expectation.endpoints);
  checkConsidered(found, explanation, expectation.considered);
  return found.mismatches;
}

/** What the caller gets to see: the callee's sidecar may refuse what the caller's own one sends. */
function resultOf({ result, next }: Explanation): Explanation["result"] {
  const refused = next?.result.kind === "denied" || next?.result.kind === "reset";
  return result.kind === "forward" && refused ? next.result : result;
}

type Plain = string | number | boolean;

/** Collects what is not as expected. What nothing is expected of is always right. */
class Findings {
  readonly mismatches: Mismatch[] = [];

  equal(path: string, expected: Plain | undefined, actual: Plain | undefined): void {
    if (expected === undefined || expected === actual) return;
    this.add(path, show(expected), actual === undefined ? "nothing" : show(actual));
  }

  duration(path: string, expected: string | undefined, actualMs: number | undefined): void {
    if (expected === undefined || parseDuration(expected) === actualMs) return;
    this.add(path, expected, actualMs === undefined ? "nothing" : actualMs === 0 ? "none" : `${actualMs}ms`);
  }

  add(path: string, expected: string, actual: string): void {
    this.mismatches.push({ path, expected, actual });
  }
}

function show(value: Plain): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function checkRule(found: Findings, { route, result }: Explanation, expected: string | undefined): void {
  if (expected === undefined) return;
  const owner = route?.owner;
  if (owner === undefined) {
    found.add("rule", expected, result.kind === "forward" ? "the default route, of no object" : result.kind);
    return;
  }
  const { namespace, name, rule } = owner;
  if ([rule, `${name} ${rule}`, `${namespace}/${name} ${rule}`].includes(expected)) return;
  found.add("rule", expected, `${namespace}/${name} ${rule}`);
}

type Target = Pick<ExplainedShare, "host" | "port" | "subset" | "probability">;

/** Where the request may go: with an id to one place, without to every one that has a share. */
function targetsOf({ split, cluster, request, result }: Explanation): readonly Target[] {
  if (cluster === undefined || result.kind === "reply") return [];
  if (split.length === 0) return [{ ...cluster, probability: 1 }];
  const byChance = split.some(({ by }) => by === "chance");
  if (request.requestId !== undefined || !byChance) return split.filter(({ chosen }) => chosen);
  return split.filter(({ probability }) => probability > 0);
}

function checkDestination(
  found: Findings,
  explanation: Explanation,
  expected: MeshTestExpectation["destination"],
): void {
  if (expected === undefined) return;
  const targets = targetsOf(explanation);
  const { host, subset, port } = expected;
  const wrong = targets.filter(
    (target) =>
      (host !== undefined && !namesHost(host, target.host)) ||
      (subset !== undefined && subset !== target.subset) ||
      (port !== undefined && port !== target.port),
  );
  if (targets.length > 0 && wrong.length === 0) return;
  const parts = [host, subset, port].filter((part) => part !== undefined);
  const actual = targets.map(
    ({ host: at, port: on, subset: of }) => `${at}:${on}${of === "" ? "" : ` ${of}`}`,
  );
  found.add(
    "destination",
    parts.join(" "),
    actual.length === 0 ? explanation.result.kind : actual.join(" or "),
  );
}

/** Whether a host as people write it is this full one. */
function namesHost(written: string, full: string): boolean {
  return full === written || full.startsWith(`${written}.`);
}

function checkSplit(
  found: Findings,
  { split, cluster }: Explanation,
  expected: MeshTestExpectation["split"],
): void {
  const whole = cluster === undefined ? [] : [{ ...cluster, probability: 1 }];
  checkShares(found, "split", split.length === 0 ? whole : split, expected);
}

/** Every target gets the share that is expected of its subset or host, and those of which none is get nothing. */
function checkShares(
  found: Findings,
  path: string,
  targets: readonly Target[],
  expected: Readonly<Record<string, string>> | undefined,
): void {
  if (expected === undefined) return;
  const left = new Set(targets);
  for (const [name, written] of Object.entries(expected)) {
    const named = targets.filter(
      ({ subset, host }) => subset === name || (subset === "" && namesHost(name, host)),
    );
    for (const target of named) left.delete(target);
    const actual = named.reduce((sum, { probability }) => sum + probability, 0);
    const bounds = parseShare(written);
    if (bounds !== undefined && isWithin(actual, bounds)) continue;
    found.add(`${path}.${name}`, written, percent(actual));
  }
  for (const { subset, host, probability } of left) {
    if (probability > 0)
      found.add(`${path}.${subset === "" ? host : subset}`, "nothing", percent(probability));
  }
}

function isWithin(
  share: number,
  { least, most }: { readonly least: number; readonly most: number },
): boolean {
  return share >= least - TOLERANCE && share <= most + TOLERANCE;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))}%`;
}

const OPS: readonly (readonly ["set" | "add", readonly HeaderMutation["op"][]])[] = [
  ["set", ["set", "set-if-present"]],
  ["add", ["append", "add-if-absent"]],
];

function checkHeaders(
  found: Findings,
  path: string,
  expected: ExpectedHeaders | undefined,
  mutations: readonly HeaderMutation[],
): void {
  for (const [kind, ops] of OPS) {
    for (const [name, value] of Object.entries(expected?.[kind] ?? {})) {
      const values = mutations.flatMap((one) =>
        one.op !== "remove" && ops.includes(one.op) && one.name === name.toLowerCase() ? [one.value] : [],
      );
      if (values.includes(value)) continue;
      const actual = values.length === 0 ? "nothing" : values.map(show).join(", ");
      found.add(`${path}.${kind}.${name}`, show(value), actual);
    }
  }
  for (const name of expected?.remove ?? []) {
    const removed = mutations.some((one) => one.op === "remove" && one.name === name.toLowerCase());
    if (!removed) found.add(`${path}.remove`, name, "not removed");
  }
}

function checkRetries(
  found: Findings,
  { route }: Explanation,
  expected: MeshTestExpectation["retries"],
): void {
  if (expected === undefined) return;
  const retry = route?.retry;
  found.equal("retries.attempts", expected.attempts, retry?.attempts ?? 0);
  found.duration("retries.perTryTimeout", expected.perTryTimeout, retry?.perTryTimeoutMs ?? 0);
  const check = (path: string, outcome: string, wanted: boolean): void => {
    const known = retry?.outcomes.find((one) => one.outcome === outcome);
    if (known === undefined && retry !== undefined) {
      found.add(path, outcome, `no such failure: ${retry.outcomes.map((one) => one.outcome).join(", ")}`);
    } else if ((known?.retried ?? false) !== wanted) {
      found.add(path, outcome, wanted ? "given up" : "tried again");
    }
  };
  for (const outcome of expected.after ?? []) check("retries.after", outcome, true);
  for (const outcome of expected.notAfter ?? []) check("retries.notAfter", outcome, false);
}

function checkFault(found: Findings, { steps }: Explanation, expected: MeshTestExpectation["fault"]): void {
  if (expected === undefined) return;
  const facts = steps.flatMap(({ step, events }) =>
    step === "filter" ? events.map((event) => event.facts ?? {}) : [],
  );
  const abort = facts.find(({ fault }) => fault === "abort");
  const delay = facts.find(({ fault }) => fault === "delay");
  if (expected.status !== undefined && abort?.["status"] !== expected.status)
    found.add(
      "fault.status",
      String(expected.status),
      abort === undefined ? "nothing" : String(abort["status"]),
    );
  if (expected.delay !== undefined && delay?.["delayMs"] !== parseDuration(expected.delay))
    found.add(
      "fault.delay",
      expected.delay,
      delay === undefined ? "nothing" : `${String(delay["delayMs"])}ms`,
    );
  const bounds = expected.share === undefined ? undefined : parseShare(expected.share);
  if (bounds === undefined) return;
  const concerned = [
    ...(expected.status === undefined ? [] : [abort]),
    ...(expected.delay === undefined ? [] : [delay]),
  ];
  for (const one of concerned.length > 0 ? concerned : [abort ?? delay]) {
    const share = Number(one?.["probability"] ?? 0);
    if (!isWithin(share, bounds)) found.add("fault.share", expected.share ?? "", percent(share));
  }
}

function checkReplies(
  found: Findings,
  { result }: Explanation,
  { redirect, directResponse }: MeshTestExpectation,
): void {
  const location = result.headers?.find((line) => line.startsWith("location: "))?.slice("location: ".length);
  const kind =
    result.kind === "reply" ? (location === undefined ? "a direct response" : "a redirect") : result.kind;
  if (redirect !== undefined) {
    if (kind !== "a redirect") found.add("redirect", "a redirect", kind);
    else {
      found.equal("redirect.status", redirect.status, result.status);
      found.equal("redirect.location", redirect.location, location);
    }
  }
  if (directResponse !== undefined) {
    if (kind !== "a direct response") found.add("directResponse", "a direct response", kind);
    else {
      found.equal("directResponse.status", directResponse.status, result.status);
      found.equal("directResponse.body", directResponse.body, result.body);
    }
  }
}

function checkEndpoints(
  found: Findings,
  { endpoints }: Explanation,
  expected: readonly string[] | undefined,
): void {
  if (expected === undefined) return;
  const serving = endpoints.filter(({ share }) => share > 0);
  const names = serving.map(({ address, workload }) => [
    address,
    address.slice(0, address.lastIndexOf(":")),
    workload?.workload ?? "",
    workload?.canonicalRevision ?? "",
  ]);
  const isRight =
    names.every((own) => own.some((name) => expected.includes(name))) &&
    expected.every((name) => names.some((own) => own.includes(name)));
  if (isRight) return;
  const actual = serving.map(
    ({ address, workload }) => `${address} (${workload?.workload ?? "outside the mesh"})`,
  );
  found.add("endpoints", expected.join(", "), actual.length === 0 ? "none" : actual.join(", "));
}

function checkConsidered(
  found: Findings,
  { steps }: Explanation,
  expected: MeshTestExpectation["considered"],
): void {
  for (const [index, { step, subject = "", reason = "", chosen }] of (expected ?? []).entries()) {
    const events = steps.find((one) => one.step === step)?.events ?? [];
    const fits = events.some(
      (event) =>
        event.subject.includes(subject) &&
        event.reason.includes(reason) &&
        (chosen === undefined || chosen === (event.verdict === "chosen")),
    );
    if (fits) continue;
    const actual = events.map((event) => `${event.subject}: ${event.reason}`);
    found.add(
      `considered[${index}]`,
      [step, subject, reason].filter((part) => part !== "").join(": "),
      actual.length === 0 ? `nothing at the step ${step}` : actual.join("; "),
    );
  }
}
