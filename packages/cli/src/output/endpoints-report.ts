import {
  formatAge,
  type EndpointDifference,
  type EndpointsReport,
  type HeldEndpointSet,
  type ProxyEndpoints,
  type RegisteredInstance,
  type RegisteredService,
} from "@tulle/api";

import { proxyName } from "../resources/proxies.js";
import { statePainter } from "./listings.js";
import { renderTable } from "./table.js";
import { terminalText } from "./terminal-text.js";

interface SetRow {
  readonly proxy: ProxyEndpoints;
  readonly set: HeldEndpointSet;
}

interface DifferenceRow {
  readonly proxy: string;
  readonly difference: EndpointDifference;
}

/** Proxies that have something else than the registry. */
export function differingProxies({ proxies }: EndpointsReport): readonly ProxyEndpoints[] {
  return proxies.filter(({ differences }) => differences.length > 0);
}

/** Instances as they are registered, then what each proxy has of them, then what differs. */
export function renderEndpoints(report: EndpointsReport, nowMs: number, colors: boolean): string {
  const sections = report.services.map((service) => serviceSection(service, colors));
  sections.push(
    report.proxies.length === 0 ? "No connected proxy asks for them." : proxySection(report, nowMs, colors),
  );
  const opinions = opinionSection(report);
  if (opinions !== "") sections.push(opinions);
  if (differingProxies(report).length > 0) sections.push(differenceTable(report));
  return `${[...sections, ...silentLines(report)].join("\n\n")}\n`;
}

/** What differs, or that nothing does. */
export function renderDifferences(report: EndpointsReport): string {
  const silent = silentLines(report);
  if (differingProxies(report).length > 0) return `${[differenceTable(report), ...silent].join("\n\n")}\n`;
  const { length } = report.proxies;
  const proxies = `${length} ${length === 1 ? "proxy" : "proxies"}`;
  return `${[`No differences: ${proxies} compared with the registry.`, ...silent].join("\n\n")}\n`;
}

function serviceSection({ namespace, name, instances }: RegisteredService, colors: boolean): string {
  const table = renderTable<RegisteredInstance>(
    [
      { header: "INSTANCE", cell: ({ id }) => id.slice(id.indexOf("/") + 1) },
      { header: "ADDRESS", cell: ({ address }) => address },
      { header: "MESH ADDRESS", cell: ({ meshAddress }) => meshAddress },
      { header: "HEALTH", cell: ({ health }) => health, paint: statePainter(colors) },
      { header: "VERSION", cell: ({ version }) => version },
      { header: "LOCALITY", cell: ({ locality }) => locality },
      { header: "WEIGHT", cell: ({ weight }) => weight },
      { header: "CHECKS", cell: checksOf },
    ],
    instances,
  );
  return `${terminalText(`${name}.${namespace}, as it is registered`)}\n${table}`;
}

function checksOf({ checks }: RegisteredInstance): string {
  return checks.map(({ id, status }) => `${id} ${status}`).join(", ");
}

function proxySection({ proxies }: EndpointsReport, nowMs: number, colors: boolean): string {
  const paint = statePainter(colors);
  return renderTable<SetRow>(
    [
      { header: "PROXY", cell: ({ proxy }) => proxyName(proxy.proxy) },
      { header: "CLUSTER", cell: ({ set }) => set.name },
      { header: "SENT", cell: ({ set }) => (set.state === "nack" ? "NACK" : set.state), paint },
      { header: "VERSION", cell: ({ set }) => (set.version === undefined ? "?" : set.version.slice(0, 12)) },
      { header: "CHANGED", cell: ({ set }) => changed(set, nowMs) },
      { header: "ENDPOINTS", cell: ({ set }) => endpointsOf(set) },
    ],
    proxies.flatMap((proxy) => proxy.sets.map((set) => ({ proxy, set }))),
  );
}

function changed({ changedAt }: HeldEndpointSet, nowMs: number): string {
  if (changedAt === undefined) return "?";
  return changedAt === 0 ? "-" : formatAge(Math.max(0, nowMs - changedAt));
}

function endpointsOf({ endpoints }: HeldEndpointSet): string {
  if (endpoints === undefined) return "?";
  const usable = endpoints.filter(({ healthy, held }) => healthy && held.length === 0).length;
  return usable === endpoints.length ? `${usable}` : `${usable} of ${endpoints.length} usable`;
}

/** What proxies hold against endpoints of their own accord. */
function opinionSection({ proxies }: EndpointsReport): string {
  const rows = proxies.flatMap(({ proxy, sets }) =>
    sets.flatMap(({ name, endpoints = [] }) =>
      endpoints
        .filter(({ held }) => held.length > 0)
        .map(({ address, held }) => ({ proxy: proxyName(proxy), name, address, held: held.join(", ") })),
    ),
  );
  if (rows.length === 0) return "";
  return renderTable<(typeof rows)[number]>(
    [
      { header: "PROXY", cell: ({ proxy }) => proxy },
      { header: "CLUSTER", cell: ({ name }) => name },
      { header: "ENDPOINT", cell: ({ address }) => address },
      { header: "HELD AGAINST IT", cell: ({ held }) => held },
    ],
    rows,
  );
}

function differenceTable(report: EndpointsReport): string {
  const rows = differingProxies(report).flatMap(({ proxy, differences }) =>
    differences.map((difference) => ({ proxy: proxyName(proxy), difference })),
  );
  return renderTable<DifferenceRow>(
    [
      { header: "PROXY", cell: ({ proxy }) => proxy },
      { header: "CLUSTER", cell: ({ difference }) => difference.set },
      { header: "ENDPOINT", cell: ({ difference }) => difference.address || "-" },
      { header: "DIFFERS", cell: ({ difference }) => difference.kind },
      { header: "WHAT", cell: ({ difference }) => difference.message },
    ],
    rows,
  );
}

function silentLines({ proxies }: EndpointsReport): readonly string[] {
  return proxies.flatMap(({ proxy, silent }) =>
    silent === undefined ? [] : [terminalText(`${proxyName(proxy)} does not say what it has: ${silent}`)],
  );
}
