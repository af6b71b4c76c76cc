import type { Clock } from "@tulle/base";
import {
  isGateway,
  type Explanation,
  type LoadTable,
  type Question,
  type SnapshotSource,
} from "@tulle/engine";

/** How long the configuration of a service that nobody asked for yet may take to come. */
const PATIENCE_MS = 2000;
/** Questions that wait for it at once; more are answered by what is known. */
const MAX_WAITING = 64;

export interface ExplainerOptions {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  /** Asks the control plane for a service, as a request to it would. */
  readonly onDemand: (authority: string) => void;
}

/**
 * Answers what would become of a request, from the configuration in force and the load of the moment. Nothing is sent,
 * and nothing that balances or limits live traffic is changed.
 */
export class Explainer {
  readonly #options: ExplainerOptions;
  readonly #waiting = new Set<() => void>();

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  async explain(question: Question): Promise<Explanation> {
    const { clock, configuration, load, onDemand } = this.#options;
    if (question.direction === "outbound" && !this.#isKnown(question)) {
      onDemand(question.request.authority);
      await this.#untilKnown(question);
    }
    // Rarely asked, so it is loaded then.
    const { explain } = await import("@tulle/engine/explain");
    return explain({ snapshot: configuration.current, load, now: clock.monotonic() }, question);
  }

  /** The snapshot is another one now. */
  onConfigurationChanged(): void {
    for (const look of this.#waiting) look();
  }

  #isKnown({ request }: Question): boolean {
    const { current } = this.#options.configuration;
    // A gateway asks for nothing on demand.
    if (isGateway(current)) return true;
    const chain = current.outbound(request.authority);
    return chain === null || chain?.warm === true;
  }

  #untilKnown(question: Question): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING || this.#isKnown(question)) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer[Symbol.dispose]();
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#isKnown(question)) end();
      };
      const timer = this.#options.clock.setTimeout(end, PATIENCE_MS);
      this.#waiting.add(look);
    });
  }
}
