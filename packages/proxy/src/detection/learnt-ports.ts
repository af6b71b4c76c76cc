import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";

/** What a connection turned out to be; `server-first`: its server spoke before its client did. */
export type DetectionVerdict = "http1" | "http2" | "tls" | "tcp" | "server-first";

/** After a server that spoke first nobody waits for a client; one that speaks first all the same is understood. */
export function silenceAfter(verdict: DetectionVerdict, configuredMs: number): number {
  return verdict === "server-first" ? 0 : configuredMs;
}

/** What is remembered of a port. */
export interface LearntPort {
  readonly port: string;
  /** Of its latest connection. */
  readonly verdict: DetectionVerdict;
  /** How long its next client may say nothing before the server gets a chance to speak, milliseconds. */
  readonly silenceMs: number;
}

/** Of more ports, those whose last connection is longest ago are forgotten. */
const MAX_PORTS = 1000;

/** What connections to ports that nobody declared a protocol of turned out to be, and what that means for the next one. */
export class LearntPorts {
  /** The one with the oldest verdict first. */
  readonly #ports = new Map<string, LearntPort>();
  readonly #detections: Family<Counter>;
  readonly #maxPorts: number;

  constructor(metrics: MetricsRegistry, maxPorts = MAX_PORTS) {
    this.#maxPorts = maxPorts;
    this.#detections = metrics.counter(
      "tulle_protocol_detections_total",
      "Connections to ports without a declared protocol, by port and by what they turned out to be.",
    );
  }

  /** How long a client of this port may say nothing: as configured, or less by what was learnt. */
  silenceMs(port: string, configuredMs: number): number {
    return Math.min(configuredMs, this.#ports.get(port)?.silenceMs ?? configuredMs);
  }

  /**
   * Remembers and counts a verdict, and how long the next client may say nothing. `label` names the port in metrics,
   * where not every name is worth a series.
   */
  learn(port: string, verdict: DetectionVerdict, silenceMs: number, label = port): void {
    this.#ports.delete(port);
    this.#ports.set(port, { port, verdict, silenceMs });
    const oldest = this.#ports.keys().next();
    if (this.#ports.size > this.#maxPorts && oldest.done !== true) this.#ports.delete(oldest.value);
    this.#detections.with(["port", label, "verdict", verdict]).inc();
  }

  /** All that is remembered. */
  all(): readonly LearntPort[] {
    return [...this.#ports.values()];
  }
}

/** What several threads have learnt, each port once. */
export function joinLearnt(lists: readonly (readonly LearntPort[])[]): readonly LearntPort[] {
  return [...new Map(lists.flat().map((learnt) => [learnt.port, learnt])).values()];
}
