import type { Clock } from "@tulle/base";
import { RCODE, type Rcode } from "@tulle/dns";
import {
  NameTable_DnsFault_Failure as Failure,
  type NameTable_DnsFault,
} from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";

import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";

/** No delay is longer, whatever the control plane says. */
const MAX_DELAY_MS = 30_000;
/** So many queries are held up at a time; others are not. */
const MAX_DELAYED = 512;

/** Has lookups of names fail, as their faults say: late, and with a failure in place of the answer. */
export class DnsFaults {
  readonly #clock: Clock;
  /** Numbers in [0, 1). */
  readonly #random: () => number;
  readonly #count: Family<Counter>;
  #delayed = 0;

  constructor(clock: Clock, random: () => number, metrics: MetricsRegistry) {
    this.#clock = clock;
    this.#random = random;
    this.#count = metrics.counter(
      "tulle_dns_faults_total",
      "DNS queries of the application that an injected fault held up or failed.",
    );
  }

  /** Meets a query with its name's fault. Gives the failure to answer with; undefined: the query is answered as ever. */
  async meet({ percentage, failure, delayMs }: NameTable_DnsFault): Promise<Rcode | undefined> {
    if (this.#random() * 100 >= percentage) return undefined;
    if (delayMs > 0 && this.#delayed < MAX_DELAYED) await this.#delay(Math.min(delayMs, MAX_DELAY_MS));
    const rcode = RCODES[failure];
    if (rcode !== undefined) this.#count.with(["fault", Failure[failure].toLowerCase()]).inc();
    return rcode;
  }

  async #delay(ms: number): Promise<void> {
    this.#count.with(["fault", "delay"]).inc();
    this.#delayed++;
    await new Promise<void>((resolve) => {
      this.#clock.setTimeout(resolve, ms, { keepAlive: false });
    });
    this.#delayed--;
  }
}

const RCODES: Readonly<Partial<Record<Failure, Rcode>>> = {
  [Failure.NXDOMAIN]: RCODE.NXDOMAIN,
  [Failure.SERVFAIL]: RCODE.SERVFAIL,
};
