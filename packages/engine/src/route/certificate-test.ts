import type { RouteMatch_TlsContextMatchOptions } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { HeaderTest } from "./header-test.js";
import type { ConditionWords } from "./words.js";

/** A condition on the client's certificate, and its words. */
export interface CertificateTest {
  readonly test: HeaderTest;
  readonly words: ConditionWords;
}

/**
 * Compiles `tls_context`; undefined where it asks for nothing. A certificate that does not hold is refused before there is a request: one
 * that was presented is one that was validated. In plaintext there is none.
 */
export function compileCertificateTest(
  options: RouteMatch_TlsContextMatchOptions | undefined,
): CertificateTest | undefined {
  const { presented, validated } = options ?? {};
  if (presented === undefined && validated === undefined) return undefined;
  const holds = (has: boolean): boolean =>
    (presented === undefined || presented === has) && (validated === undefined || validated === has);
  const wanted = holds(true) ? (holds(false) ? "may have" : "must have") : "must not have";
  return {
    test: ({ clientCertificate = false }) => holds(clientCertificate),
    words: {
      condition: () => `the client ${wanted} a certificate`,
      mismatch: ({ clientCertificate = false }) =>
        `the client has ${clientCertificate ? "a" : "no"} certificate`,
      share: undefined,
    },
  };
}
