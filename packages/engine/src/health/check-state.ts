import type { HealthCheckSettings, StatusRange } from "../snapshot/health-check-settings.js";

/** What a check's outcome did: nothing, or it counts towards a change, or it was the last that a change needed. */
export type Transition = "none" | "pending" | "changed";

/**
 * What checks have told of one endpoint. Until the first of them is back it counts as healthy; that one decides by itself.
 */
export class CheckState {
  healthy = true;
  /** No check is back yet. */
  first = true;
  /** Outcomes one after the other that speak against the present state. */
  #against = 0;

  passed({ healthyThreshold }: HealthCheckSettings): Transition {
    const { first } = this;
    this.first = false;
    if (this.healthy) {
      this.#against = 0;
      return "none";
    }
    return this.#count(first ? 1 : healthyThreshold);
  }

  /** `atOnce`: the endpoint itself says that it is not well; one such word is enough. */
  failed({ unhealthyThreshold }: HealthCheckSettings, atOnce: boolean): Transition {
    const { first } = this;
    this.first = false;
    if (!this.healthy) {
      this.#against = 0;
      return "none";
    }
    return this.#count(first || atOnce ? 1 : unhealthyThreshold);
  }

  #count(threshold: number): Transition {
    if (++this.#against < threshold) return "pending";
    this.#against = 0;
    this.healthy = !this.healthy;
    return "changed";
  }
}

/** Milliseconds until the next check. `random`: numbers in [0, 1). */
export function nextCheckMs(
  settings: HealthCheckSettings,
  healthy: boolean,
  transition: Transition,
  hasTraffic: boolean,
  random: () => number,
): number {
  const base = baseMs(settings, healthy, transition, hasTraffic);
  const jitter =
    base * (settings.intervalJitterPercent / 100) * random() + settings.intervalJitterMs * random();
  return Math.max(1, Math.round(base + jitter));
}

function baseMs(
  settings: HealthCheckSettings,
  healthy: boolean,
  transition: Transition,
  hasTraffic: boolean,
): number {
  if (!hasTraffic) return healthy ? settings.noTrafficHealthyMs : settings.noTrafficMs;
  // An edge: the outcome spoke against the present state, and others must follow before that changes.
  if (transition === "pending") return healthy ? settings.unhealthyEdgeMs : settings.healthyEdgeMs;
  return healthy ? settings.intervalMs : settings.unhealthyMs;
}

/** Whether a status is in one of the ranges. */
export function inRanges(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end);
}
