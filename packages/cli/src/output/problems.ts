import { formatAge, type MeshStatus } from "@tulle/api";

import { proxyName, refusals } from "../resources/proxies.js";
import { authorityWarnings } from "./authority-report.js";
import type { Problem } from "./problem.js";
import { expiryWarnings, versionWarnings } from "./status-report.js";

/** All that must be done, what is most urgent first. */
export function problemsOf(status: MeshStatus): readonly Problem[] {
  const { lostProxies = [], controlPlane } = status;
  const problems: Problem[] = [
    ...authorityWarnings(status),
    ...expiryWarnings(status).map((text) => ({ level: "warning", text }) as const),
    ...versionWarnings(status).map((text) => ({ level: "warning", text }) as const),
    ...refusals(status).map(
      ({ proxy, type, error }) =>
        ({ level: "error", text: `${proxy} refused its configuration (${type}): ${error ?? ""}` }) as const,
    ),
    ...lostProxies.map(
      ({ id, since }) =>
        ({
          level: "warning",
          text: `${proxyName(id)} is registered and not connected for ${formatAge(controlPlane.now - since)}`,
        }) as const,
    ),
  ];
  return problems.toSorted((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
}

const ORDER: readonly Problem["level"][] = ["error", "warning", "notice"];
