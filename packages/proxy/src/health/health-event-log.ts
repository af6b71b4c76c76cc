import type { Clock } from "@tulle/base";
import type { HealthCheckSettings } from "@tulle/engine";

import type { LineWriter } from "../telemetry/line-writer.js";
import type { CheckedEndpoint } from "./checked-endpoint.js";
import type { ProbeOutcome } from "./probe.js";

/** How a check failed, as Envoy names it: by an answer, by what a request was told, or without an answer. */
export type FailureType = "ACTIVE" | "PASSIVE" | "NETWORK" | "NETWORK_TIMEOUT";

/** What happened, under the name of the field that Envoy's HealthCheckEvent has for it. */
type Event =
  | { readonly eject_unhealthy_event: { readonly failure_type: FailureType } }
  | { readonly add_healthy_event: { readonly first_check: boolean } }
  | { readonly successful_health_check_event: Readonly<Record<string, never>> }
  | {
      readonly health_check_failure_event: {
        readonly failure_type: FailureType;
        readonly first_check: boolean;
      };
    }
  | { readonly degraded_healthy_host: Readonly<Record<string, never>> }
  | { readonly no_longer_degraded_host: Readonly<Record<string, never>> };

const CHECKER: Readonly<Record<HealthCheckSettings["probe"]["kind"], string>> = {
  http: "HTTP",
  tcp: "TCP",
  grpc: "GRPC",
  redis: "REDIS",
};

/** The type of a probe's failure. */
export function failureType(outcome: Exclude<ProbeOutcome, { kind: "passed" }>): FailureType {
  if (outcome.kind === "failed") return "ACTIVE";
  return outcome.timedOut === true ? "NETWORK_TIMEOUT" : "NETWORK";
}

/**
 * Writes what health checks find out, a line of JSON each with the fields of Envoy's HealthCheckEvent, for the clusters whose
 * configuration wants it (`event_logger`). An endpoint that several clusters have has a line for each.
 */
export class HealthEventLog {
  readonly #writer: LineWriter | undefined;
  readonly #clock: Clock;

  /** `writer` undefined: nothing is written. */
  constructor(writer: LineWriter | undefined, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** It is not used any more. */
  ejected(checked: CheckedEndpoint, failure: FailureType): void {
    this.#write(checked, { eject_unhealthy_event: { failure_type: failure } });
  }

  /** It is used (again). */
  added(checked: CheckedEndpoint, first: boolean): void {
    this.#write(checked, { add_healthy_event: { first_check: first } });
  }

  passed(checked: CheckedEndpoint): void {
    this.#write(checked, { successful_health_check_event: {} });
  }

  failed(checked: CheckedEndpoint, failure: FailureType, first: boolean): void {
    this.#write(checked, { health_check_failure_event: { failure_type: failure, first_check: first } });
  }

  degraded(checked: CheckedEndpoint, degraded: boolean): void {
    this.#write(checked, degraded ? { degraded_healthy_host: {} } : { no_longer_degraded_host: {} });
  }

  #write({ settings, endpoint, clusterNames }: CheckedEndpoint, event: Event): void {
    if (this.#writer === undefined || !settings.logsEvents) return;
    const { host, port, labels } = endpoint;
    for (const cluster of clusterNames) {
      const line = {
        health_checker_type: CHECKER[settings.probe.kind],
        host: { socket_address: { protocol: "TCP", address: host, port_value: port } },
        cluster_name: cluster,
        ...event,
        timestamp: new Date(this.#clock.now()).toISOString(),
        ...(labels !== undefined && { metadata: { filter_metadata: { "envoy.lb": labels } } }),
      };
      this.#writer.write(JSON.stringify(line));
    }
  }
}
