import type { Clock, Logger } from "@tulle/base";
import type { Fact, JwtCheck, JwtNeed, JwtRule, JwtVerdict } from "@tulle/engine";

import type { FactAsker, FactFetcher, PendingFact } from "../facts/contract.js";
import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";
import { readToken } from "./read-token.js";
import { TokenKeys, type Jose } from "./token-keys.js";

/** Good tokens that are remembered of one issuer: callers send theirs with every request. */
const MAX_REMEMBERED = 512;

type Good = Extract<JwtVerdict, { status: "good" }>;

/** What is known of one issuer's tokens. */
interface Known {
  readonly good: Map<string, Good>;
  keys: TokenKeys | undefined;
}

/**
 * Says whether tokens are good. The library that verifies them is loaded with the first one, so that sidecars without
 * such rules do without it. A token that was found good is so until it expires, or the keys change.
 */
export class JwtVerifier implements FactFetcher<"jwt"> {
  readonly kind = "jwt";
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #verified: Family<Counter>;
  readonly #known = new WeakMap<JwtRule, Known>();
  #jose: Promise<Jose> | undefined;

  constructor(clock: Clock, logger: Logger, metrics: MetricsRegistry) {
    this.#clock = clock;
    this.#logger = logger;
    this.#verified = metrics.counter(
      "tulle_jwt_verifications_total",
      "Tokens that were verified, by result.",
    );
  }

  fetch(need: JwtNeed, asker: FactAsker): Fact | PendingFact {
    const at = need.checks.map((check) => this.#atOnce(check));
    if (at.every((verdict) => verdict !== undefined)) return { kind: "jwt", verdicts: at };
    let waits = true;
    void this.#verifyAll(need.checks, at).then((verdicts) => {
      if (waits) asker.onFact({ kind: "jwt", verdicts });
    });
    return { cancel: () => void (waits = false) };
  }

  /** What needs no key: it is none, or another's, or was found good before. */
  #atOnce({ rule, token }: JwtCheck): JwtVerdict | undefined {
    const good = this.#knownOf(rule).good.get(token);
    if (good !== undefined && this.#isInTime(rule, good)) return good;
    const read = readToken(token);
    if (typeof read === "string") {
      this.#count("malformed");
      return { status: "bad", reason: read };
    }
    if (rule.issuer !== "" && read.payload["iss"] !== rule.issuer) return { status: "other-issuer" };
    return undefined;
  }

  /** Never rejects. */
  #verifyAll(
    checks: readonly JwtCheck[],
    known: readonly (JwtVerdict | undefined)[],
  ): Promise<readonly JwtVerdict[]> {
    return Promise.all(
      checks.map((check, index) =>
        Promise.resolve(known[index] ?? this.#verify(check)).catch((error: unknown): JwtVerdict => {
          this.#logger.error("a token could not be verified", { error });
          return { status: "bad", reason: "Jwt verification fails" };
        }),
      ),
    );
  }

  async #verify({ rule, token }: JwtCheck): Promise<JwtVerdict> {
    const read = readToken(token);
    if (typeof read === "string") return { status: "bad", reason: read };
    this.#jose ??= import("jose");
    const jose = await this.#jose;
    const known = this.#knownOf(rule);
    known.keys ??= new TokenKeys(jose, rule);
    const reason = await known.keys.failureOf(token, this.#clock.now());
    if (reason !== undefined) {
      this.#count("bad");
      return { status: "bad", reason };
    }
    this.#count("good");
    const good: Good = { status: "good", ...read };
    if (known.good.size >= MAX_REMEMBERED) {
      for (const oldest of known.good.keys()) {
        known.good.delete(oldest);
        break;
      }
    }
    known.good.set(token, good);
    return good;
  }

  /** Dates are judged anew each time; a token without is good for as long as its keys are. */
  #isInTime({ clockSkewMs }: JwtRule, { payload }: Good): boolean {
    const now = this.#clock.now();
    const { exp, nbf } = payload;
    if (typeof exp === "number" && exp * 1000 <= now - clockSkewMs) return false;
    return typeof nbf !== "number" || nbf * 1000 <= now + clockSkewMs;
  }

  #knownOf(rule: JwtRule): Known {
    let known = this.#known.get(rule);
    if (known === undefined) {
      known = { good: new Map(), keys: undefined };
      this.#known.set(rule, known);
    }
    return known;
  }

  #count(result: string): void {
    this.#verified.with(["result", result]).inc();
  }
}
