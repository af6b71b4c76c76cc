import { formatAge, type AuthorityCertificateStatus, type MeshStatus } from "@tulle/api";

import type { Problem } from "./problem.js";
import { renderTable } from "./table.js";
import { terminalText } from "./terminal-text.js";

const DAY_MS = 86_400_000;
/** Days before an end from which it is told of, and how urgent that is. */
const WARN_BEFORE: readonly (readonly [number, Problem["level"]])[] = [
  [1, "error"],
  [7, "warning"],
  [30, "notice"],
];
/** An automatic replacement begins when a third of the life is left: below this share it does not work. */
const REPLACEMENT_OVERDUE = 0.25;

/** Roots and what becomes of them, for people. Ages are by the control plane's clock. */
export function authorityReport({ authority, controlPlane: { now } }: MeshStatus): string {
  const { certificates = [], nextRotationAt, unacknowledged = [], graceMs = 0, signer = "" } = authority;
  const lists = authority.revocation?.lists ?? [];
  const lines = [
    `Trust domain:  ${authority.trustDomain}`,
    `Signer:        ${signer}, certificates for ${formatAge(authority.certificateTtlMs)}`,
    ...(nextRotationAt === undefined
      ? []
      : [`Next root:     ${nextRotationAt <= now ? "on its way" : `in ${formatAge(nextRotationAt - now)}`}`]),
    ...(graceMs > 0 ? [`Grace:         expired certificates count for ${formatAge(graceMs)}`] : []),
    ...lists.map(({ issuer, revoked, nextUpdate }) => {
      const fresh = nextUpdate === undefined ? "" : `, ${freshness(nextUpdate - now)}`;
      return `Revoked:       ${revoked} by ${issuer.slice(0, 16)}${fresh}`;
    }),
    ...(unacknowledged.length > 0
      ? [`Waiting for:   ${unacknowledged.slice(0, 10).join(", ")}${unacknowledged.length > 10 ? ", …" : ""}`]
      : []),
  ];
  const table = renderTable<AuthorityCertificateStatus>(
    [
      { header: "PHASE", cell: ({ phase }) => phase },
      { header: "SERIAL", cell: ({ id }) => id },
      { header: "LEFT", cell: ({ notAfter }) => formatAge(Math.max(0, notAfter - now)) },
      { header: "ENDS", cell: ({ notAfter }) => new Date(notAfter).toISOString() },
    ],
    certificates,
  );
  return `${lines.map((line) => terminalText(line)).join("\n")}\n\n${table}\n`;
}

function freshness(leftMs: number): string {
  return leftMs > 0 ? `list good for ${formatAge(leftMs)}` : `list out of date for ${formatAge(-leftMs)}`;
}

/** Certificates of the authority that end soon and that nothing replaces, and what else is not as it should be. */
export function authorityWarnings({ authority, controlPlane: { now } }: MeshStatus): readonly Problem[] {
  const { certificates = [], nextRotationAt, graceMs = 0 } = authority;
  const problems: Problem[] = [];
  for (const { phase, id, notBefore, notAfter } of certificates) {
    if (phase !== "active" && phase !== "issuer") continue;
    const leftMs = notAfter - now;
    const byItself = nextRotationAt !== undefined && leftMs > (notAfter - notBefore) * REPLACEMENT_OVERDUE;
    const level = WARN_BEFORE.find(([days]) => leftMs <= days * DAY_MS)?.[1];
    if (level === undefined || byItself) continue;
    const what = phase === "issuer" ? "the certificate that signs" : "the root certificate";
    const ends = leftMs <= 0 ? "has expired" : `ends in ${formatAge(leftMs)}`;
    const remedy =
      nextRotationAt === undefined
        ? "replace it where it comes from"
        : "it should have been replaced by now: look at the control plane's log, or run `tulle ca rotate`";
    problems.push({
      level: leftMs <= 0 ? "error" : level,
      text: `${what} ${id.slice(0, 16)} ${ends}; ${remedy}`,
    });
  }
  for (const { issuer, nextUpdate = Number.POSITIVE_INFINITY } of authority.revocation?.lists ?? []) {
    if (nextUpdate > now) continue;
    const text = `the revocation list of ${issuer.slice(0, 16)} is out of date for ${formatAge(now - nextUpdate)}: what was revoked since is let in; get a new one`;
    problems.push({ level: "error", text });
  }
  if (graceMs > 0) {
    const text = `expired certificates still count for ${formatAge(graceMs)} (--expired-certificate-grace); turn that off when renewal works again`;
    problems.push({ level: "notice", text });
  }
  return problems;
}
