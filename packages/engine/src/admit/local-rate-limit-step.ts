import { GrpcStatus } from "@tulle/http";
import type { HeaderList } from "@tulle/http";
import type {
  AdmissionStep,
  DecisionView,
  Facts,
  HeaderMutation,
  Plan,
  ReplyPlan,
  StepAdmission,
  TokenLimit,
} from "../contract.js";
import type { RateLimitDescriptor } from "../facts/rate-limit.js";
import { applyHeaders } from "../route/header-mutations.js";
import { isIn, type Share } from "../route/fraction.js";
import { descriptorsOf, type HostLimits } from "./rate-limit-descriptors.js";

/** A descriptor with a bucket of its own; an entry without value has one for each value. */
export interface LimitedDescriptor {
  readonly entries: readonly (readonly [key: string, value: string])[];
  readonly bucket: TokenLimit;
}

export interface LocalRateLimitSettings {
  /** For metrics. */
  readonly name: string;
  /** Tells its buckets from those of others. */
  readonly place: string;
  readonly enabled: Share;
  /** Undefined = nobody is refused: it only counts. */
  readonly enforced: Share | undefined;
  readonly bucket: TokenLimit | undefined;
  readonly descriptors: readonly LimitedDescriptor[];
  readonly stage: number;
  readonly perConnection: boolean;
  readonly status: number;
  /** gRPC callers are told RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly exhausted: boolean;
  /** Responses say how much is left. */
  readonly tellsLimits: boolean;
  readonly hostLimits: HostLimits;
  /** The default bucket counts for requests that a descriptor has a bucket for, too. */
  readonly alwaysDefault: boolean;
  readonly whenNotEnforced: readonly HeaderMutation[];
  readonly onLimited: readonly HeaderMutation[];
}

/** The bucket that had least, of those that a request asked. */
interface Taken {
  readonly limit: TokenLimit;
  /** Before one was taken; below 1 = none could be. */
  readonly tokens: number;
}

/** Lets requests through for as long as there are tokens in all the buckets that they belong to. */
export class LocalRateLimitStep implements AdmissionStep {
  readonly #settings: LocalRateLimitSettings;

  constructor(settings: LocalRateLimitSettings) {
    this.#settings = settings;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined {
    const { enabled, enforced, name, tellsLimits } = this.#settings;
    if (!isIn(enabled, view.entropy, view.snapshot.runtime)) return undefined;
    const taken = this.#take(view, plan, facts);
    if (taken === undefined) return undefined;
    const limited = taken.tokens < 1;
    const refused = limited && enforced !== undefined && isIn(enforced, view.entropy, view.snapshot.runtime);
    if (view.trace !== undefined) tell(view, plan, name, taken, refused);
    const told = tellsLimits ? limitFields(taken) : NO_FIELDS;
    if (refused) return this.#refusal(taken, told);
    if (!limited && told.length === 0) return undefined;
    return {
      kind: "mutate",
      request: limited ? this.#settings.whenNotEnforced : undefined,
      response: asMutations(told),
      limited: limited ? { name, enforced: false } : undefined,
    };
  }

  #take(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): Taken | undefined {
    const { bucket, descriptors, alwaysDefault, stage, hostLimits } = this.#settings;
    let least: Taken | undefined;
    if (descriptors.length > 0) {
      for (const descriptor of descriptorsOf(plan, facts, stage, hostLimits)) {
        descriptors.forEach(({ entries, bucket: limit }, index) => {
          if (!matches(entries, descriptor) || (least !== undefined && least.tokens < 1)) return;
          const dynamic = entries.map(([, value], at) => (value === "" ? descriptor[at]![1] : "")).join("\n");
          least = lesser(
            least,
            this.#takeFrom(view, facts, limit, `${index}/${dynamic}`, dynamic.trim() === ""),
          );
        });
      }
    }
    if (bucket === undefined || (least !== undefined && (!alwaysDefault || least.tokens < 1))) return least;
    return lesser(least, this.#takeFrom(view, facts, bucket, "", true));
  }

  #takeFrom(view: DecisionView, facts: Facts, limit: TokenLimit, part: string, kept: boolean): Taken {
    const { place, perConnection } = this.#settings;
    const connection = perConnection ? (facts.remoteAddress ?? "") : "";
    // Another limit is another bucket, which is full.
    const key = `${place}|${limit.maxTokens}|${limit.msPerToken}|${connection}|${part}`;
    return { limit, tokens: view.load.takeToken(key, kept && !perConnection, limit, view.now) };
  }

  #refusal(taken: Taken, told: HeaderList): StepAdmission {
    const { name, status, exhausted, onLimited } = this.#settings;
    const headers: HeaderList = [
      "content-type",
      "text/plain",
      "retry-after",
      String(untilNext(taken)),
      ...told,
    ];
    applyHeaders(headers, onLimited);
    return {
      kind: "reply",
      status,
      body: "local_rate_limited",
      headers,
      flag: "RL",
      details: "local_rate_limited",
      grpcStatus: exhausted ? GrpcStatus.RESOURCE_EXHAUSTED : undefined,
      limited: { name, enforced: true },
    };
  }
}

const NO_FIELDS: HeaderList = [];

function matches(entries: LimitedDescriptor["entries"], descriptor: RateLimitDescriptor): boolean {
  return (
    entries.length === descriptor.length &&
    entries.every(
      ([key, value], index) =>
        key === descriptor[index]![0] && (value === "" || value === descriptor[index]![1]),
    )
  );
}

function lesser(one: Taken | undefined, other: Taken): Taken {
  return one === undefined || other.tokens < one.tokens ? other : one;
}

/** Seconds until there is a token again, at least 1. */
function untilNext({ limit, tokens }: Taken): number {
  return Math.max(1, Math.ceil(((1 - tokens) * limit.msPerToken) / 1000));
}

/** What is left, and in how many seconds it is all there again (draft-ietf-httpapi-ratelimit-headers-03). */
function limitFields({ limit, tokens }: Taken): HeaderList {
  const left = Math.max(0, Math.floor(tokens < 1 ? 0 : tokens - 1));
  const reset = Math.ceil(((limit.maxTokens - (tokens < 1 ? tokens : tokens - 1)) * limit.msPerToken) / 1000);
  return [
    "x-ratelimit-limit",
    String(limit.maxTokens),
    "x-ratelimit-remaining",
    String(left),
    "x-ratelimit-reset",
    String(reset),
  ];
}

function asMutations(fields: HeaderList): HeaderMutation[] | undefined {
  if (fields.length === 0) return undefined;
  const mutations: HeaderMutation[] = [];
  for (let i = 0; i < fields.length; i += 2)
    mutations.push({ op: "set", name: fields[i]!, value: fields[i + 1]! });
  return mutations;
}

function tell(
  { trace }: DecisionView,
  { provenance }: Plan | ReplyPlan,
  name: string,
  { limit, tokens }: Taken,
  refused: boolean,
): void {
  const limited = tokens < 1;
  trace?.add({
    step: "filter",
    subject: `rate limit ${name}`,
    verdict: refused ? "chosen" : "passed-over",
    reason: limited
      ? `no token is left${refused ? "" : ", but the limit is not enforced"}`
      : `${Math.floor(tokens)} of ${limit.maxTokens} tokens are left`,
    owner: provenance,
    facts: { tokens: Math.max(0, Math.floor(tokens)), limit: limit.maxTokens },
  });
}
