import type { HeaderList } from "@tulle/http";
import type { Snapshot } from "../snapshot/contract.js";
import type { Trace } from "../trace.js";
import type { LoadTable } from "./load.js";

/** Everything that a decision may depend on besides the request. */
export interface DecisionView {
  readonly snapshot: Snapshot;
  readonly load: LoadTable;
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** Milliseconds since the epoch, for what threads count together; absent = `now`. */
  readonly wallMs?: number;
  /** 32 unsigned bits of the request id's hash: the same request decides the same way when replayed. */
  readonly entropy: number;
  /** Told why each decision was made; undefined for live traffic. */
  readonly trace?: Trace | undefined;
}

/** A hash of 64 bits, as two unsigned halves. */
export interface HashKey {
  readonly high: number;
  readonly low: number;
}

/** What binds a request to an endpoint. */
export interface Affinity {
  /** What consistent hashing looks it up by; undefined = nothing of it is hashed. */
  readonly key: HashKey | undefined;
  /** `host:port` of the endpoint that its session is bound to, as the client says; "" = none. */
  readonly boundTo: string;
  /** `host:port` of endpoints that the request itself names, for one try after the other. */
  readonly named: readonly string[];
  /** A cookie to give to the client, so that it brings the same key next time; "" = none. */
  readonly setCookie: string;
}

/** What one request has tried so far. One object per exchange, reused over its attempts. */
export interface AttemptState {
  /** Tries made, the first included. */
  attempts: number;
  /** Endpoint slots tried, newest last. */
  readonly triedSlots: number[];
  /** When the answer must be complete, on the clock of `DecisionView.now`; 0 or absent = no limit. */
  deadlineMs?: number;
  /** Whether it may be the request that decides about an endpoint on probation: somebody looks at its answer. */
  readonly probes?: boolean;
  /** Made by `affinityOf` before the first try where the plan has a `hash` or a `session`. */
  affinity?: Affinity | undefined;
}

export type Outcome =
  /** The TCP or TLS connection could not be made: no byte of the request was sent. */
  | { readonly kind: "connect-failure" }
  /** The connection broke. `responseStarted` = a response head had come; `requestSent` = any byte had left. */
  | {
      readonly kind: "reset";
      readonly requestSent: boolean;
      readonly responseStarted: boolean;
      readonly reusedConnection: boolean;
    }
  /** No answer in the time for one try; `per-try-idle-timeout`: nothing moved for so long. */
  | { readonly kind: "per-try-timeout" | "per-try-idle-timeout" }
  /** The next sidecar says that it has made the retries already. */
  | { readonly kind: "retried" }
  | {
      readonly kind: "response";
      readonly status: number;
      readonly grpcStatus: number;
      readonly headers: HeaderList;
    };

/** Picking failed. `flag` is Envoy's response flag. */
export interface PickFailure {
  readonly kind: "fail";
  readonly flag: "UH" | "UO";
}
