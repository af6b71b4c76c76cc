import type { GatewaySpec } from "./type.js";

/** What is accepted in a Gateway and looks like a mistake. */
export function gatewayWarnings({ selector, servers }: GatewaySpec): readonly string[] {
  const warnings: string[] = [];
  if (Object.keys(selector ?? {}).length === 0) {
    warnings.push("spec.selector is empty: every gateway of the mesh opens these ports");
  }
  servers.forEach(({ tls, port }, index) => {
    const { minProtocolVersion: min, cipherSuites = [] } = tls ?? {};
    if (min === "TLSV1_0" || min === "TLSV1_1") {
      warnings.push(
        `spec.servers[${index}].tls.minProtocolVersion ${min} is not safe: TLS 1.2 is the oldest version that is taken`,
      );
    }
    if (cipherSuites.length > 0 && min === "TLSV1_3") {
      warnings.push(
        `spec.servers[${index}].tls.cipherSuites has no effect: the suites of TLS 1.3 are always the same`,
      );
    }
    if (port.protocol.toUpperCase() === "MONGO") {
      warnings.push(`spec.servers[${index}].port.protocol MONGO is carried as TCP`);
    }
  });
  return warnings;
}
