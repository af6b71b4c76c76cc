import { parseDuration } from "@tulle/base";

import type { MeshConfigSpec } from "./type.js";

/** What is accepted in a MeshConfig and looks like a mistake. */
export function meshConfigWarnings({
  meshMTLS,
  tlsDefaults,
  protocolDetectionTimeout = "50ms",
}: MeshConfigSpec): readonly string[] {
  const warnings: string[] = [];
  if (parseDuration(protocolDetectionTimeout) === 0) {
    warnings.push(
      "spec.protocolDetectionTimeout of 0s waits for clients as long as it takes: of servers that speak first (MySQL, SMTP), on ports whose protocol nobody declares, nothing is heard",
    );
  }
  if (hasSuites(meshMTLS) && meshMTLS?.minProtocolVersion !== "TLSV1_2") {
    warnings.push(
      "spec.meshMTLS.cipherSuites has no effect: the mesh speaks TLS 1.3, whose suites are always the same, unless minProtocolVersion is TLSV1_2",
    );
  }
  const { minProtocolVersion, ecdhCurves = ["P-256"] } = meshMTLS ?? {};
  if (minProtocolVersion === "TLSV1_2" && ecdhCurves.length > 0 && !ecdhCurves.includes("P-256")) {
    warnings.push(
      "spec.meshMTLS.ecdhCurves has no P-256, which workloads' keys are on: TLS 1.2 takes certificates on these curves only",
    );
  }
  if (hasSuites(tlsDefaults) && tlsDefaults?.minProtocolVersion === "TLSV1_3") {
    warnings.push("spec.tlsDefaults.cipherSuites has no effect: the suites of TLS 1.3 are always the same");
  }
  return warnings;
}

function hasSuites(config: MeshConfigSpec["meshMTLS"]): boolean {
  return (config?.cipherSuites?.length ?? 0) > 0;
}
