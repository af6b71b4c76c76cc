import { formatAge, type MeshStatus, type ProxyStatus } from "@tulle/api";
import { SUPPORTED_MINORS_BACK, versionSkew } from "@tulle/base";
import pc from "picocolors";

import { certificateLives, type CertificateLife } from "../resources/certificates.js";
import { proxyName, refusals, xdsState, XDS_TYPES, xdsTypeName, type Refusal } from "../resources/proxies.js";
import { statePainter } from "./listings.js";
import { renderTable } from "./table.js";
import { terminalText } from "./terminal-text.js";

const LABEL_WIDTH = 16;

export interface StatusReportOptions {
  /** URL of the control plane. */
  readonly server: string;
  readonly colors: boolean;
}

/** What `GET /tulle/v1/status` answered, for people. Ages are by the control plane's clock. */
export function statusReport(status: MeshStatus, options: StatusReportOptions): string {
  const sections = [
    overview(status, options.server),
    proxyTable(status, options.colors),
    troubleLines(status),
    refusalTable(refusals(status)),
    certificateTable(certificateLives(status), options.colors),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** Proxies whose version this control plane does not support. */
export function versionWarnings({ proxies, controlPlane }: MeshStatus): readonly string[] {
  const { version: ours } = controlPlane;
  return proxies.flatMap(({ id, dialect, version = "" }) => {
    const skew = dialect === "tulle" ? versionSkew(ours, version) : "unknown";
    if (skew === "too-old")
      return `${proxyName(id)} runs ${version}, too old for a control plane ${ours}, which serves its own minor version and the ${SUPPORTED_MINORS_BACK} before it: upgrade the proxy`;
    return skew === "newer"
      ? `${proxyName(id)} runs ${version}, newer than the control plane (${ours}): upgrade the control plane first`
      : [];
  });
}

/** Certificates of running workloads that should have been renewed long ago. */
export function expiryWarnings(status: MeshStatus): readonly string[] {
  return certificateLives(status)
    .filter(({ expiring, inUse }) => expiring && inUse)
    .map(
      ({ spiffeId, leftMs, leftShare }) =>
        `the certificate of ${spiffeId} has ${formatAge(leftMs)} (${percent(leftShare)} of its life) left and was not renewed: look at its sidecar's log`,
    );
}

function overview({ controlPlane, authority }: MeshStatus, server: string): string {
  const {
    version,
    startedAt,
    now,
    store,
    services,
    instances,
    healthyInstances,
    objects,
    protectedServices = [],
  } = controlPlane;
  const lines: readonly (readonly [string, string])[] = [
    ["Control plane", `${server}, version ${version}, up ${formatAge(now - startedAt)}, store ${store}`],
    [
      "Registry",
      `${count(services, "service")}, ${healthyInstances} of ${count(instances, "instance")} healthy`,
    ],
    ...(protectedServices.length === 0
      ? []
      : [
          [
            "Kept",
            `last known instances, for they fell silent together, of ${protectedServices.join(", ")}`,
          ] as const,
        ]),
    ["Configuration", count(objects, "object")],
    [
      "Authority",
      `${authority.trustDomain}, root good for ${formatAge(authority.rootNotAfter - now)}, certificates for ${formatAge(authority.certificateTtlMs)}${rotationOf(authority)}`,
    ],
  ];
  return lines.map(([label, text]) => `${`${label}:`.padEnd(LABEL_WIDTH)}${terminalText(text)}`).join("\n");
}

function rotationOf({ certificates = [] }: MeshStatus["authority"]): string {
  const countOf = (wanted: string): number => certificates.filter(({ phase }) => phase === wanted).length;
  const next = countOf("next") > 0 ? ", the next root is being handed out" : "";
  const retiring = countOf("retiring");
  return `${next}${retiring > 0 ? `, ${count(retiring, "old root")} still trusted` : ""}`;
}

function proxyTable({ proxies, controlPlane: { now } }: MeshStatus, colors: boolean): string {
  if (proxies.length === 0) return "No proxies are connected.";
  const paint = statePainter(colors);
  return renderTable<ProxyStatus>(
    [
      { header: "PROXY", cell: ({ id }) => proxyName(id) },
      { header: "DIALECT", cell: ({ dialect }) => dialect },
      { header: "VERSION", cell: ({ version = "-" }) => version },
      ...XDS_TYPES.map((type) => ({
        header: type,
        cell: (proxy: ProxyStatus) => xdsState(proxy, type),
        paint,
      })),
      { header: "CONNECTED", cell: ({ connectedAt }) => formatAge(now - connectedAt) },
    ],
    proxies,
  );
}

/** An update that is not acknowledged after this time is worth a word. */
const SLOW_ACK_MS = 10_000;

/** Proxies that may serve with something old: one line each. */
function troubleLines({ proxies, lostProxies = [], controlPlane: { now } }: MeshStatus): string {
  const lines: string[] = [];
  for (const { id, types, reconciliation } of proxies) {
    const late = types.filter(
      ({ state, lastSentAt }) =>
        state === "stale" && lastSentAt !== undefined && now - lastSentAt > SLOW_ACK_MS,
    );
    if (late.length > 0) {
      const since = formatAge(now - Math.min(...late.map(({ lastSentAt = now }) => lastSentAt)));
      lines.push(`Stale:    ${proxyName(id)} has not acknowledged ${namesOf(late)} for ${since}`);
    }
    const { differing = [], differingSince } = reconciliation ?? {};
    if (differing.length > 0) {
      const names = namesOf(differing.map((typeUrl) => ({ typeUrl })));
      const since = differingSince === undefined ? "" : ` for ${formatAge(now - differingSince)}`;
      lines.push(
        `Differs:  ${proxyName(id)} does not hold what it was sent (${names})${since}; it is being put right`,
      );
    }
  }
  for (const { id, since } of lostProxies)
    lines.push(`Lost:     ${proxyName(id)} is registered and not connected for ${formatAge(now - since)}`);
  return lines.map((line) => terminalText(line)).join("\n");
}

function namesOf(types: readonly { readonly typeUrl: string }[]): string {
  return types.map(({ typeUrl }) => xdsTypeName(typeUrl)).join(", ");
}

function refusalTable(refused: readonly Refusal[]): string {
  if (refused.length === 0) return "";
  return renderTable<Refusal>(
    [
      { header: "REFUSED BY", cell: ({ proxy }) => proxy },
      { header: "TYPE", cell: ({ type }) => type },
      { header: "IN ITS WORDS", cell: ({ error }) => error ?? "" },
    ],
    refused,
  );
}

function certificateTable(lives: readonly CertificateLife[], colors: boolean): string {
  if (lives.length === 0) return "";
  const { yellow, dim } = pc.createColors(colors);
  return renderTable<CertificateLife>(
    [
      { header: "CERTIFICATE OF", cell: ({ spiffeId }) => spiffeId },
      { header: "SERIAL", cell: ({ serialNumber }) => shorten(serialNumber) },
      { header: "LEFT", cell: ({ leftMs }) => formatAge(leftMs) },
      {
        header: "OF LIFE",
        cell: ({ leftShare }) => percent(leftShare),
        align: "right",
        paint: (text, { expiring, inUse }) => (!inUse ? dim(text) : expiring ? yellow(text) : text),
      },
      {
        header: "NOTE",
        cell: ({ expiring, inUse }) => (!inUse ? "no proxy connected" : expiring ? "renewal overdue" : ""),
      },
    ],
    lives,
  );
}

const SERIAL_LENGTH = 16;

function shorten(serial: string): string {
  return serial.length <= SERIAL_LENGTH ? serial : `${serial.slice(0, SERIAL_LENGTH)}…`;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
