import { TokenBucket, type Clock } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import { hashRequestId } from "../stream/decision.js";
import type { ExchangeRecord } from "../stream/exchange-record.js";
import type { Counter } from "../telemetry/metrics.js";
import type { DecisionRecord } from "./contract.js";
import { encodeRecord } from "./encode-record.js";
import { HeldSnapshots } from "./held-snapshots.js";
import { unpackRecord, type PackedRecord } from "./packed-record.js";
import { MAX_RECORD_BYTES, RecordRing } from "./record-ring.js";

/** Places of a thread for failures, and for successes: a flood of the one does not push out the other. */
const FAILURES = 512;
const SUCCESSES = 256;
const HELD_SNAPSHOTS = 8;
/** Failures that are kept in a second, when there are that many: more would push each other out before anybody asks. */
const FAILURES_PER_SECOND = 500;
/** The same of successes: a busy sidecar's share of them would cost it 1 % of its time, and tell nobody more. */
const SUCCESSES_PER_SECOND = 20;
/** Of what nothing more is known: the end of a gRPC call that was not told. */
const GRPC_OK = 0;

export interface DecisionRecordsOptions {
  readonly configuration: SnapshotSource;
  readonly clock: Clock;
  /** Share of the successes that is kept, percent. The same request is kept, or not, by every proxy on its way. */
  readonly samplePercent: number;
  /** Counts failures that were not kept. */
  readonly dropped: Counter;
}

/** A record, and the configuration that it was decided with when that is still held. */
export interface FoundRecord {
  readonly record: DecisionRecord;
  readonly snapshot: ReturnType<HeldSnapshots["find"]>;
}

/** The newest failures of this thread, and some successes, kept so that `tulle why` can tell what happened. */
export class DecisionRecords {
  readonly #configuration: SnapshotSource;
  readonly #clock: Clock;
  readonly #threshold: number;
  readonly #dropped: Counter;
  readonly #rate: TokenBucket;
  readonly #successRate: TokenBucket;
  readonly #failures: RecordRing;
  readonly #successes: RecordRing;
  readonly #snapshots = new HeldSnapshots(HELD_SNAPSHOTS);

  constructor({ configuration, clock, samplePercent, dropped }: DecisionRecordsOptions) {
    // One large piece: it comes from the kernel, where pages that were never written take no memory.
    const memory = Buffer.alloc((FAILURES + SUCCESSES) * MAX_RECORD_BYTES);
    const failureBytes = FAILURES * MAX_RECORD_BYTES;
    this.#failures = new RecordRing(FAILURES, memory.subarray(0, failureBytes));
    this.#successes = new RecordRing(SUCCESSES, memory.subarray(failureBytes));
    this.#configuration = configuration;
    this.#clock = clock;
    this.#threshold = (samplePercent / 100) * 2 ** 32;
    this.#dropped = dropped;
    this.#rate = new TokenBucket(FAILURES_PER_SECOND, FAILURES, clock);
    this.#successRate = new TokenBucket(SUCCESSES_PER_SECOND, SUCCESSES, clock);
  }

  /** Keeps an exchange that is over, if it failed or is one of the sample. Costs the others a few comparisons. */
  take(exchange: ExchangeRecord): void {
    const failed = isFailure(exchange);
    if (failed || exchange.tries.count > 1) {
      if (this.#rate.take()) this.#keep(this.#failures, exchange, failed ? "failed" : "retried");
      else this.#dropped.inc();
    } else if (chanceOf(exchange.entropy) < this.#threshold && this.#successRate.take()) {
      this.#keep(this.#successes, exchange, "sampled");
    }
  }

  /** Records of a request, oldest first. */
  find(requestId: string): readonly FoundRecord[] {
    const key = hashRequestId(requestId);
    const texts = [...this.#failures.find(key), ...this.#successes.find(key)];
    return texts
      .map((text) => unpackRecord(JSON.parse(text) as PackedRecord))
      .filter((record) => isNamed(record.requestId, requestId))
      .sort((left, right) => left.time - right.time)
      .map((record) => ({ record, snapshot: this.#snapshots.find(record.snapshot) }));
  }

  #keep(ring: RecordRing, exchange: ExchangeRecord, kept: DecisionRecord["kept"]): void {
    const text = encodeRecord(exchange, kept, this.#configuration, this.#clock.monotonic());
    if (text === "") return;
    ring.add(exchange.entropy, text);
    if (exchange.snapshot !== undefined) this.#snapshots.hold(exchange.snapshot);
  }
}

/** Envoy's flag of a delay on purpose: what comes after it may be a success. */
const DELAYED = "DI";

/** What a policy or a token refused has no flag, as in Envoy; its details begin so. */
const REFUSED = ["rbac_access_denied", "jwt_authn_access_denied"];

/** A proxy's own error answer has a flag; a response that never came, no status. */
function isFailure(exchange: ExchangeRecord): boolean {
  const { responseCode, responseFlags, responseCodeDetails, grpc, grpcStatus } = exchange;
  return (
    responseCode >= 500 ||
    REFUSED.some((begin) => responseCodeDetails.startsWith(begin)) ||
    responseCode === 0 ||
    (responseFlags !== "" && responseFlags !== DELAYED) ||
    (grpc && grpcStatus > GRPC_OK)
  );
}

/** A long id is cut in its record. */
function isNamed(recorded: string, requestId: string): boolean {
  return recorded.endsWith("...") ? requestId.startsWith(recorded.slice(0, -3)) : recorded === requestId;
}

/** The same bits choose routes and endpoints: mixed once more, so that the sample is of all of them. */
function chanceOf(entropy: number): number {
  let mixed = Math.imul(entropy ^ (entropy >>> 15), 0x2c1b3c6d);
  mixed ^= mixed >>> 12;
  mixed = Math.imul(mixed, 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
