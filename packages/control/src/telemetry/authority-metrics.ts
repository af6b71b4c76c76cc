import type { CertificateAuthority } from "../ca/certificate-authority.js";
import type { MetricFamily } from "./metrics-text.js";

/** When the authority's own certificates end, under the names that istiod exports, and how much it did. */
export function authorityMetrics(authority: CertificateAuthority, nowMs: number): readonly MetricFamily[] {
  const certificates = authority.signer.certificates();
  const endOf = (phases: readonly string[]): number =>
    Math.min(...certificates.filter(({ phase }) => phases.includes(phase)).map(({ notAfter }) => notAfter));
  const root = endOf(["active"]);
  // Without an intermediate the root signs itself.
  const signing = Math.min(endOf(["issuer"]), root);
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }],
  });
  return [
    gauge(
      "citadel_server_root_cert_expiry_timestamp",
      "When the root certificate ends, seconds since the epoch.",
      root / 1000,
    ),
    gauge(
      "citadel_server_root_cert_expiry_seconds",
      "Seconds until the root certificate ends.",
      (root - nowMs) / 1000,
    ),
    gauge(
      "citadel_server_cert_chain_expiry_timestamp",
      "When the first certificate of the signing chain ends, seconds since the epoch.",
      signing / 1000,
    ),
    gauge(
      "citadel_server_cert_chain_expiry_seconds",
      "Seconds until the first certificate of the signing chain ends.",
      (signing - nowMs) / 1000,
    ),
    {
      name: "tulle_authority_cert_expiry_timestamp",
      help: "When each certificate of the authority ends, seconds since the epoch.",
      type: "gauge",
      samples: certificates.map(({ id, phase, notAfter }) => ({
        labels: ["serial", id, "phase", phase],
        value: notAfter / 1000,
      })),
    },
    {
      name: "citadel_server_success_cert_issuance_count",
      help: "Certificates issued since the start.",
      type: "counter",
      samples: [{ value: authority.issuedTotal }],
    },
    gauge("tulle_certificates", "Workload certificates that are valid.", authority.issued().length),
  ];
}
