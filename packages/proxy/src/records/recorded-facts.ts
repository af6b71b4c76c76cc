import { invalidAnswer, JWT_FAILURES, type Fact, type JwtNeed, type KnownFacts } from "@tulle/engine";

import type { DecisionRecord } from "./contract.js";

/** What outside services said of a recorded request, as far as it was refused for that, and what was found of its token. */
export function recordedFacts({ response }: DecisionRecord): KnownFacts {
  const { transportFailure, details, status } = response;
  return (need) => {
    if (need.kind === "jwt") return tokens(details, need);
    if (!transportFailure.startsWith(need.asks)) return undefined;
    const detail = transportFailure.slice(need.asks.length + 2);
    return need.kind === "ext-authz" ? authorization(details, status, detail) : limit(details, detail);
  };
}

/** Tokens are not kept: the record says why one was refused, and nothing of a good one. */
function tokens(details: string, { checks }: JwtNeed): Fact {
  const reason = JWT_FAILURES.find(
    (one) => details === `jwt_authn_access_denied{${one.replaceAll(" ", "_")}}`,
  );
  return {
    kind: "jwt",
    verdicts: checks.map(() =>
      reason === undefined
        ? ({ status: "good", payload: {}, encodedPayload: "" } as const)
        : ({ status: "bad", reason } as const),
    ),
  };
}

function authorization(details: string, status: number, detail: string): Fact | undefined {
  switch (details) {
    case "ext_authz_denied":
      return { kind: "ext-authz", allowed: false, status, headers: [], body: "" };
    case "ext_authz_invalid":
      return invalidAnswer(detail);
    case "ext_authz_error":
      return { kind: "failed", reason: "unreachable", detail };
    default:
      return undefined;
  }
}

function limit(details: string, detail: string): Fact | undefined {
  switch (details) {
    case "request_rate_limited":
      return {
        kind: "rate-limit",
        over: true,
        request: [],
        response: [],
        limits: [],
        body: "",
        metadata: undefined,
      };
    case "rate_limiter_error":
      return { kind: "failed", reason: "unreachable", detail };
    default:
      return undefined;
  }
}
