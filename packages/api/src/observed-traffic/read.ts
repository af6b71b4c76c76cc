import type { ObservedTraffic, ProxyTraffic, TrafficEdge } from "./type.js";

const MAX_ITEMS = 10_000;
const MAX_TEXT = 2048;

/** Reads what proxies told. What is malformed is left out, and the proxy's report counts as not complete. */
export function readTraffic({ proxies }: ObservedTraffic): readonly ProxyTraffic[] {
  return proxies.map(({ proxy, report }) => {
    const { since, complete, inbound, calls } = fields(report);
    const edges = list(inbound).map(edgeOf);
    const hosts = list(calls).filter(isText);
    const whole =
      complete === true &&
      !edges.includes(undefined) &&
      Array.isArray(inbound) &&
      Array.isArray(calls) &&
      hosts.length === calls.length;
    return {
      proxy,
      since: typeof since === "number" && since > 0 ? since : 0,
      complete: whole,
      inbound: edges.filter((edge) => edge !== undefined),
      calls: hosts,
    };
  });
}

function edgeOf(value: unknown): TrafficEdge | undefined {
  const { source, service, port, requests, connections } = fields(value);
  if (!isText(source) || !isText(service) || typeof port !== "number" || typeof connections !== "number")
    return undefined;
  const kinds = list(requests).map((request) => {
    const { method, path, count } = fields(request);
    return isText(method) && isText(path) && typeof count === "number" ? { method, path, count } : undefined;
  });
  if (!Array.isArray(requests) || kinds.includes(undefined)) return undefined;
  return { source, service, port, connections, requests: kinds.filter((kind) => kind !== undefined) };
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, MAX_ITEMS) : [];
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_TEXT;
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
