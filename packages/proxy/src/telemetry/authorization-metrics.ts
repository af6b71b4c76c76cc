import type { Judgement } from "@tulle/engine";

import type { Counter, Family, MetricsRegistry } from "./metrics.js";

/** Counts what authorization filters find, under Envoy's names: refusals, dry runs and audits, by policy. */
export class AuthorizationMetrics {
  readonly #denied: Family<Counter>;
  readonly #shadowAllowed: Family<Counter>;
  readonly #shadowDenied: Family<Counter>;
  readonly #logged: Family<Counter>;

  /** `protocol`: whether requests or connections are counted. */
  constructor(metrics: MetricsRegistry, protocol: "http" | "tcp") {
    const what = protocol === "http" ? "Requests" : "Connections";
    const counter = (name: string, help: string) =>
      metrics.counter(`envoy_${protocol}_rbac_${name}`, `${what} ${help}`);
    this.#denied = counter("denied", "that policies refused.");
    this.#shadowAllowed = counter("shadow_allowed", "that a dry run would have let through.");
    this.#shadowDenied = counter("shadow_denied", "that a dry run would have refused.");
    this.#logged = counter("logged", "that an AUDIT policy matched.");
  }

  count(judged: readonly Judgement[]): void {
    for (const judgement of judged)
      this.#familyOf(judgement)
        .with(["policy", judgement.policy === "" ? "none" : judgement.policy])
        .inc();
  }

  #familyOf({ kind, allowed }: Judgement): Family<Counter> {
    if (kind === "audit") return this.#logged;
    if (kind === "enforced") return this.#denied;
    return allowed ? this.#shadowAllowed : this.#shadowDenied;
  }
}
