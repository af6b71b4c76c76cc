import type { Svid } from "@tulle/agent";

const DAY_MS = 86_400_000;

/** Envoy's `/certs`: dates and names of the workload's certificate. Never its key. `nowMs`: since the epoch. */
export function certs(svid: Svid | undefined, nowMs: number): unknown {
  if (svid === undefined) return { certificates: [] };
  return {
    certificates: [
      {
        cert_chain: [
          {
            serial_number: svid.serialNumber.toLowerCase(),
            subject_alt_names: [{ uri: svid.spiffeId }],
            days_until_expiration: String(Math.max(0, Math.floor((svid.notAfter - nowMs) / DAY_MS))),
            valid_from: new Date(svid.notBefore).toISOString(),
            expiration_time: new Date(svid.notAfter).toISOString(),
          },
        ],
      },
    ],
  };
}
