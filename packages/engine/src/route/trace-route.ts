import type { EngineRequest } from "../contract.js";
import type { Chain } from "../snapshot/chain.js";
import type { Trace } from "../trace.js";
import { pathEnd } from "./path-end.js";
import type { RuntimeValues } from "./runtime-values.js";
import { firstFailure, identityOf, TAKEN } from "./route-entry.js";
import type { RouteEntry } from "./route-entry.js";
import type { CompiledHost } from "./route-table.js";
import type { Split } from "./split.js";
import { createHostIndex } from "./virtual-hosts.js";
import type { Way } from "./way.js";
import { percent, quoted } from "./words.js";

/** Losers that are listed, at most; the rest is counted. */
const MAX_LISTED = 100;

/** Tells which virtual host an authority has, or that it has none. */
export function traceHost(
  trace: Trace,
  chain: Chain,
  host: CompiledHost | undefined,
  authority: string,
): void {
  const table = chain.routes;
  if (table === undefined) {
    const reason = "its route table does not exist: the control plane knows no routes for this listener";
    trace.add({ step: "virtual-host", subject: chain.name, verdict: "passed-over", reason });
    return;
  }
  if (host !== undefined) {
    const domain = domainFor(host, authority, table.ignorePort);
    const reason =
      domain === authority
        ? `${quoted(authority)} is one of its domains`
        : `${quoted(authority)} matches its domain ${quoted(domain)}`;
    trace.add({ step: "virtual-host", subject: host.name, verdict: "chosen", reason });
    return;
  }
  for (const { name, domains } of table.allHosts.slice(0, MAX_LISTED)) {
    const listed = domains.slice(0, 5).map(quoted).join(", ");
    const more = domains.length > 5 ? ` and ${domains.length - 5} more` : "";
    trace.add({
      step: "virtual-host",
      subject: name,
      verdict: "passed-over",
      reason: `${quoted(authority)} is none of its domains: ${listed}${more}`,
    });
  }
}

/** The domain by which a host was found: of those that match, the first as the index looks for them. */
function domainFor({ domains }: CompiledHost, authority: string, ignorePort: boolean): string {
  const entries = domains.map((domain) => ({ domains: [domain], host: domain }));
  return createHostIndex("", entries, ignorePort).find(authority) ?? "";
}

/** Tells that a host answers plaintext with a redirect. */
export function traceTlsOnly(trace: Trace, { name, tlsOnly }: CompiledHost): void {
  const reason = "it takes TLS only: plaintext requests are redirected to https";
  trace.add({ step: "route", subject: name, verdict: "chosen", reason, owner: tlsOnly?.provenance });
}

/** Tells of every route before `taken` why it does not take the request, and why that one does. */
export function traceRoutes(
  trace: Trace,
  { routes: { routes } }: CompiledHost,
  taken: RouteEntry | undefined,
  request: EngineRequest,
  entropy: number,
  runtime: RuntimeValues,
): void {
  const end = pathEnd(request.path);
  const before = taken === undefined ? routes.length : routes.indexOf(taken);
  for (let position = 0; position < before; position++) {
    if (position === MAX_LISTED) {
      const reason = `${before - position} more, for which a condition does not hold either`;
      trace.add({ step: "route", subject: "…", verdict: "passed-over", reason });
      break;
    }
    const entry = routes[position]!;
    const failed = firstFailure(entry, request, end, entropy, runtime);
    if (failed === TAKEN) continue;
    const words = entry.words[failed]!;
    trace.add({
      step: "route",
      subject: nameOf(entry, position),
      verdict: "passed-over",
      reason: words.mismatch(request, runtime),
      owner: identityOf(entry).provenance,
      facts: { position, ...(words.share === undefined ? {} : { probability: words.share(runtime) }) },
    });
  }
  if (taken === undefined) return;
  const conditions = taken.words.map((words) => words.condition(runtime)).filter((text) => text !== "");
  const share = taken.words.find((words) => words.share !== undefined)?.share?.(runtime);
  trace.add({
    step: "route",
    subject: nameOf(taken, before),
    verdict: "chosen",
    reason: conditions.length === 0 ? "it takes every request" : conditions.join(", "),
    owner: identityOf(taken).provenance,
    facts: {
      position: before,
      notReached: routes.length - before - 1,
      ...(share === undefined ? {} : { probability: share }),
    },
  });
}

function nameOf(entry: RouteEntry, position: number): string {
  const { routeName } = identityOf(entry);
  return routeName === "" ? `route ${position}` : routeName;
}

/** What chose among a route's clusters: the request id alone, a key of the request, or the session that it belongs to. */
export type SplitBy = "chance" | "key" | "session";

/**
 * Tells the chances of a route's clusters and which one the request takes. `point`: where it fell in the sum of the weights;
 * with a session nothing was drawn.
 */
export function traceSplit(trace: Trace, split: Split<Way>, chosen: Way, by: SplitBy, point = 0): void {
  const { total } = split;
  const why = {
    chance: `this one drew ${point} of ${total}`,
    key: `by its key this one draws ${point} of ${total}, always`,
    session: "the session of this one is bound to an endpoint of it",
  }[by];
  split.choices.forEach((way, index) => {
    const weight = split.weight(index);
    const probability = weight / total;
    const isChosen = way === chosen;
    const share = `${percent(probability)} of requests`;
    trace.add({
      step: "split",
      subject: way.settings.clusterName,
      verdict: isChosen ? "chosen" : "passed-over",
      reason: isChosen ? `${share}: ${why}` : share,
      owner: way.settings.provenance,
      facts: { weight, probability, position: index, by },
    });
  });
}
