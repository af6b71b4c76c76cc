import { quantile, type Edge } from "./edges.js";
import type { SplitReport } from "./split.js";

/** What `tulle demo --json` prints. */
export interface DemoSummary {
  readonly ok: boolean;
  /** Why not; empty when ok. */
  readonly problems: readonly string[];
  readonly durationSeconds: number;
  /** From the command to the first answer through the mesh. */
  readonly firstRequestSeconds: number;
  readonly requests: number;
  readonly failures: number;
  readonly requestsPerSecond: number;
  readonly split: SplitReport;
  /** Visitors with the header `version: v2`. */
  readonly header: { readonly requests: number; readonly gotV1: number };
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly version: string;
    readonly requests: number;
    readonly failures: number;
    readonly p50Ms: number | undefined;
    readonly p99Ms: number | undefined;
    readonly mutualTls: boolean;
    readonly caller: string;
    readonly callee: string;
  }[];
}

export interface DemoResult {
  readonly durationMs: number;
  readonly firstRequestMs: number;
  readonly requests: number;
  readonly failures: number;
  readonly firstError: string;
  readonly split: SplitReport;
  readonly asked: number;
  readonly askedAndGotV1: number;
  readonly edges: readonly Edge[];
}

/** Judges a run: fine when every visitor was served, the split is explained and every hop was mutual TLS. */
export function summarize(result: DemoResult): DemoSummary {
  const { split } = result;
  const problems = [
    ...(result.requests === 0 ? ["no request was sent"] : []),
    ...(result.failures > 0
      ? [`${result.failures} of ${result.requests} requests failed; the first: ${result.firstError}`]
      : []),
    ...(split.within
      ? []
      : [
          `v2 got ${percent(split.measured)} of ${split.requests} requests, which ${percent(split.expected)} does not explain`,
        ]),
    ...(result.askedAndGotV1 > 0
      ? [`${result.askedAndGotV1} requests with version: v2 were answered by v1`]
      : []),
    ...result.edges
      .filter((edge) => !edge.mutualTls)
      .map((edge) => `${edge.source} → ${edge.destination} ${edge.version} was not mutual TLS`),
  ];
  return {
    ok: problems.length === 0,
    problems,
    durationSeconds: round(result.durationMs / 1000, 1),
    firstRequestSeconds: round(result.firstRequestMs / 1000, 2),
    requests: result.requests,
    failures: result.failures,
    requestsPerSecond: round(result.requests / Math.max(result.durationMs / 1000, 0.001), 1),
    split: {
      ...split,
      measured: round(split.measured, 4),
      interval: { low: round(split.interval.low, 4), high: round(split.interval.high, 4) },
    },
    header: { requests: result.asked, gotV1: result.askedAndGotV1 },
    edges: result.edges.map((edge) => ({
      from: edge.source,
      to: edge.destination,
      version: edge.version,
      requests: edge.requests,
      failures: edge.failures,
      p50Ms: roundMs(quantile(edge.buckets, 0.5)),
      p99Ms: roundMs(quantile(edge.buckets, 0.99)),
      mutualTls: edge.mutualTls,
      caller: edge.sourcePrincipal,
      callee: edge.destinationPrincipal,
    })),
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function roundMs(value: number | undefined): number | undefined {
  return value === undefined ? undefined : round(value, 2);
}
