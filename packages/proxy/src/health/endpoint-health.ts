import { DisposableStack, type Disposable } from "@tulle/base";
import { SUSPECT_TOLD } from "@tulle/engine";

import { HealthChecks, type CheckFailure, type HealthChecksOptions } from "./health-checks.js";
import { Outliers } from "./outliers.js";
import type { Suspicion } from "./outlier-recorder.js";

/** Everything that decides whether an endpoint is used beside the configuration: outlier detection and active checks. */
export class EndpointHealth implements Disposable {
  readonly #owned = new DisposableStack();
  readonly #outliers: Outliers;
  readonly #checks: HealthChecks;

  constructor(options: Omit<HealthChecksOptions, "onPassed">) {
    this.#outliers = this.#owned.use(new Outliers(options));
    this.#checks = this.#owned.use(
      new HealthChecks({
        ...options,
        onPassed: (cluster, endpoint) => this.#outliers.onCheckPassed(cluster, endpoint),
      }),
    );
  }

  onConfigurationChanged(): void {
    this.#outliers.onConfigurationChanged();
    this.#checks.onConfigurationChanged();
  }

  /** Requests found that an endpoint stands out, or were told so by itself. */
  suspect(suspicion: Suspicion): void {
    if ((suspicion.bits & SUSPECT_TOLD) !== 0) this.#checks.told(suspicion.cluster, suspicion.slot);
    else this.#outliers.suspect(suspicion);
  }

  /** Why an endpoint's check fails; undefined when it does not. */
  checkFailureOf(slot: number): CheckFailure | undefined {
    return this.#checks.failureOf(slot);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}
