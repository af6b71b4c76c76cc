/** One workload outside the registry, as an object of its own or inside a ServiceEntry. */
export interface WorkloadEntrySpec {
  /** IP address, DNS name (no wildcard) or `unix:///absolute/path`. Absent only with `network`. */
  readonly address?: string;
  /** Service port's name → port that the workload listens on. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  /** `region/zone/subzone`; later parts may be missing. */
  readonly locality?: string;
  /** Relative share of traffic; default 1. */
  readonly weight?: number;
  readonly serviceAccount?: string;
}
