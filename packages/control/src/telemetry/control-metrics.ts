import type { CertificateAuthority } from "../ca/certificate-authority.js";
import type { ConfigIndex } from "../config/config-index.js";
import { CONVERGENCE_BUCKETS_S, type PushMetrics } from "../push/push-metrics.js";
import type { Reconciler } from "../reconcile/index.js";
import { authorityMetrics } from "./authority-metrics.js";
import type { TokenKeys } from "../token-keys/index.js";
import type { MetricFamily, MetricSample } from "./metrics-text.js";

export interface ControlMetricsSources {
  readonly version: string;
  readonly startedAt: number;
  readonly now: number;
  readonly push: PushMetrics;
  readonly reconciler: Pick<Reconciler, "mismatches" | "differing" | "rounds">;
  readonly config: ConfigIndex;
  readonly authority: CertificateAuthority;
  readonly tokenKeys: Pick<TokenKeys, "counts">;
  readonly services: number;
  readonly instances: number;
}

/** The control plane's own metrics, under the names that istiod exports. */
export function controlMetrics(sources: ControlMetricsSources): readonly MetricFamily[] {
  const { push, authority, reconciler } = sources;
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }],
  });
  const counter = (name: string, help: string, samples: readonly MetricSample[]): MetricFamily => ({
    name,
    help,
    type: "counter",
    samples,
  });
  return [
    {
      name: "pilot_info",
      help: "Version of the control plane.",
      type: "gauge",
      samples: [{ labels: ["version", sources.version], value: 1 }],
    },
    gauge(
      "istiod_uptime_seconds",
      "Seconds since the control plane started.",
      (sources.now - sources.startedAt) / 1000,
    ),
    gauge("pilot_services", "Services in the catalog.", sources.services),
    gauge("tulle_instances", "Service instances in the catalog.", sources.instances),
    counter(
      "pilot_jwks_resolver_network_fetch_success_total",
      "Keys of issuers of tokens that were fetched.",
      [{ value: sources.tokenKeys.counts.fetches - sources.tokenKeys.counts.failures }],
    ),
    counter(
      "pilot_jwks_resolver_network_fetch_fail_total",
      "Keys of issuers of tokens that could not be fetched.",
      [{ value: sources.tokenKeys.counts.failures }],
    ),
    gauge("tulle_objects", "Configuration objects.", sources.config.size),
    gauge("pilot_xds", "Open xDS streams.", push.connected),
    counter(
      "pilot_xds_pushes",
      "xDS responses sent, by type.",
      [...push.pushes].map(([type, value]) => ({ labels: ["type", type], value })),
    ),
    counter("pilot_total_xds_rejects", "xDS responses that a proxy refused.", [{ value: push.rejects }]),
    counter("pilot_xds_expired_nonce", "xDS requests that answered an older response.", [
      { value: push.expiredNonces },
    ]),
    counter("pilot_xds_write_timeout", "xDS streams cut because their proxy read too slowly.", [
      { value: push.writeTimeouts },
    ]),
    {
      name: "pilot_proxy_convergence_time",
      help: "Seconds from a change to a proxy's acknowledgement.",
      type: "histogram",
      samples: convergence(push),
    },
    counter(
      "tulle_reconcile_mismatch_total",
      "Updates that were found lost: at a proxy, or in the control plane itself (translation).",
      Object.entries(reconciler.mismatches).map(([at, value]) => ({ labels: ["at", at], value })),
    ),
    counter("tulle_reconcile_rounds_total", "Comparisons of a proxy with what it was sent.", [
      { value: reconciler.rounds },
    ]),
    gauge(
      "tulle_reconcile_mismatched_proxies",
      "Proxies that hold something else than they were sent.",
      reconciler.differing,
    ),
    ...authorityMetrics(authority, sources.now),
  ];
}

function convergence(push: PushMetrics): readonly MetricSample[] {
  const { buckets, sumSeconds, count } = push.convergence;
  return [
    ...buckets.map((value, i) => ({
      suffix: "_bucket" as const,
      labels: ["le", String(CONVERGENCE_BUCKETS_S[i])],
      value,
    })),
    { suffix: "_bucket", labels: ["le", "+Inf"], value: count },
    { suffix: "_sum", value: sumSeconds },
    { suffix: "_count", value: count },
  ];
}
