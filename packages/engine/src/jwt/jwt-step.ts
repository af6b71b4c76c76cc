import type { JsonObject } from "@bufbuild/protobuf";
import { GrpcStatus } from "@tulle/http";
import type {
  AdmissionMutation,
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  HeaderMutation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import type { Fact } from "../facts/contract.js";
import type { JwtCheck, JwtFailure, JwtNeed, JwtVerdict } from "../facts/jwt.js";
import { claimAt, headerOfClaim, normalized } from "./claims.js";
import type { CompiledProvider } from "./jwt-provider.js";
import type { JwtFindings, ProviderVerdict, Requirement } from "./requirement.js";
import { tokensIn } from "./token-locations.js";

/** Namespace of what tokens say in the request's metadata. */
export const JWT_NAMESPACE = "envoy.filters.http.jwt_authn";
/** What a request may bring; more is nobody's honest request. */
const MAX_TOKENS = 8;

export interface JwtSettings {
  readonly providers: readonly CompiledProvider[];
  readonly requirement: Requirement;
  /** Preflights (CORS) carry no token and are let through. */
  readonly bypassesPreflight: boolean;
  /** The reply says nothing of why. */
  readonly hidesReason: boolean;
}

/** A token of a request and whose it may be. */
interface Held {
  readonly provider: CompiledProvider;
  readonly token: string;
}

/**
 * Finds tokens, has them verified outside, and refuses requests that bring none where one is required, or a bad one. What a
 * good one says goes on in fields, and as metadata to the steps behind and to routes.
 */
export class JwtStep implements AdmissionStep {
  readonly #settings: JwtSettings;
  /** Fields that only this step may set: a client's are dropped. */
  readonly #cleared: readonly HeaderMutation[];
  readonly #nothing: AdmissionMutation | undefined;

  constructor(settings: JwtSettings) {
    this.#settings = settings;
    const names = settings.providers.flatMap(({ payloadHeader, claimHeaders }) => [
      ...(payloadHeader === "" ? [] : [payloadHeader]),
      ...claimHeaders.map(({ header }) => header),
    ]);
    this.#cleared = [...new Set(names)].map((name) => ({ op: "remove", name }));
    this.#nothing = this.#cleared.length === 0 ? undefined : { kind: "mutate", request: this.#cleared };
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, { request, fact }: Facts): StepAdmission | undefined {
    const { providers, bypassesPreflight } = this.#settings;
    if (bypassesPreflight && isPreflight(request)) return undefined;
    const held: Held[] = [];
    for (const provider of providers)
      for (const token of tokensIn(provider.locations, request)) held.push({ provider, token });
    if (held.length === 0) return this.#conclude(view, plan, request, [], []);
    if (new Set(held.map(({ token }) => token)).size > MAX_TOKENS)
      return this.#refuse(view, plan, request, "More than one Jwt was sent");
    if (fact === undefined) return { kind: "need", need: needOf(held) };
    return this.#conclude(view, plan, request, held, verdictsOf(fact, held.length));
  }

  #conclude(
    view: DecisionView,
    plan: Plan | ReplyPlan,
    request: EngineRequest,
    held: readonly Held[],
    verdicts: readonly JwtVerdict[],
  ): StepAdmission | undefined {
    const findings = findingsOf(held, verdicts);
    const failure = this.#settings.requirement(findings);
    if (failure !== undefined) return this.#refuse(view, plan, request, failure);
    const good = held.flatMap(({ provider }, index) => {
      const verdict = verdicts[index];
      return verdict?.status === "good" ? [{ provider, ...verdict }] : [];
    });
    tell(
      view,
      plan,
      held.length === 0 ? "the request brings no token, and none is required" : accepted(good),
    );
    if (good.length === 0) return this.#nothing;
    return this.#goOn(good);
  }

  #goOn(good: readonly (GoodToken & { readonly provider: CompiledProvider })[]): AdmissionMutation {
    const request: HeaderMutation[] = [...this.#cleared];
    let metadata: JsonObject | undefined;
    for (const { provider, payload, encodedPayload } of good) {
      if (!provider.forward)
        for (const { name } of provider.locations.headers) request.push({ op: "remove", name });
      if (provider.payloadHeader !== "") {
        const padding = provider.padPayloadHeader ? "=".repeat((4 - (encodedPayload.length % 4)) % 4) : "";
        request.push({ op: "set", name: provider.payloadHeader, value: encodedPayload + padding });
      }
      for (const { header, path } of provider.claimHeaders) {
        const value = headerOfClaim(claimAt(payload, path));
        if (value !== undefined) request.push({ op: "set", name: header, value });
      }
      if (provider.metadataKey === "") continue;
      metadata = { ...metadata, [provider.metadataKey]: normalized(payload, provider.spaceDelimited) };
    }
    return {
      kind: "mutate",
      request,
      ...(metadata !== undefined && { metadata: { namespace: JWT_NAMESPACE, value: metadata } }),
      reroute: good.some(({ provider }) => provider.reroutes),
    };
  }

  #refuse(
    view: DecisionView,
    plan: Plan | ReplyPlan,
    request: EngineRequest,
    why: JwtFailure | "Jwt is missing",
  ): StepAdmission {
    tell(view, plan, `refused: ${why}`, true);
    const error = why === "Jwt is missing" ? "" : ', error="invalid_token"';
    const path = request.path.split("?", 1)[0] ?? "";
    const realm = `${request.scheme}://${request.authority}${path}`.replaceAll(/["\\]/g, "");
    const hidden = this.#settings.hidesReason;
    return {
      kind: "reply",
      status: why === "Audiences in Jwt are not allowed" ? 403 : 401,
      body: hidden ? "" : why,
      headers: [
        ...(hidden ? [] : ["www-authenticate", `Bearer realm="${realm}"${error}`]),
        "content-type",
        "text/plain",
      ],
      flag: "",
      details: `jwt_authn_access_denied{${why.replaceAll(" ", "_")}}`,
      grpcStatus: GrpcStatus.UNAUTHENTICATED,
    };
  }
}

type GoodToken = Extract<JwtVerdict, { status: "good" }>;

function needOf(held: readonly Held[]): JwtNeed {
  const checks: readonly JwtCheck[] = held.map(({ provider, token }) => ({ rule: provider.rule, token }));
  return { kind: "jwt", asks: "whether the token is good", checks };
}

/** Nobody could say: then no token is good. */
function verdictsOf(fact: Fact, count: number): readonly JwtVerdict[] {
  if (fact.kind === "jwt" && fact.verdicts.length === count) return fact.verdicts;
  return Array.from({ length: count }, () => ({ status: "bad", reason: "Jwt verification fails" }) as const);
}

function findingsOf(held: readonly Held[], verdicts: readonly JwtVerdict[]): JwtFindings {
  const of = (name: string): ProviderVerdict => {
    let found: ProviderVerdict = { status: "missing" };
    let tokens = 0;
    for (const [index, { provider }] of held.entries()) {
      if (provider.name !== name) continue;
      // Which of two would the service believe?
      if (++tokens > 1) return { status: "bad", reason: "More than one Jwt was sent" };
      const verdict = verdicts[index];
      found = verdict === undefined ? found : verdict.status === "good" ? { status: "good" } : verdict;
    }
    return found;
  };
  return { of, anyBad: badOf(held, verdicts) };
}

function badOf(held: readonly Held[], verdicts: readonly JwtVerdict[]): JwtFailure | undefined {
  const tokens = held.map(({ provider }) => held.filter((one) => one.provider === provider).length);
  if (tokens.some((count) => count > 1)) return "More than one Jwt was sent";
  const failures = new Map<string, JwtFailure | undefined>();
  for (const [index, { token }] of held.entries()) {
    const verdict = verdicts[index];
    const known = failures.get(token);
    if (verdict?.status === "good") failures.set(token, undefined);
    else if (!failures.has(token) || (known === OTHER_ISSUER && verdict?.status === "bad"))
      failures.set(token, verdict?.status === "bad" ? verdict.reason : OTHER_ISSUER);
  }
  for (const failure of failures.values()) if (failure !== undefined) return failure;
  return undefined;
}

const OTHER_ISSUER: JwtFailure = "Jwt issuer is not configured";

function isPreflight({ method, headers }: EngineRequest): boolean {
  if (method !== "OPTIONS") return false;
  const has = (name: string): boolean =>
    headers.some((field, index) => index % 2 === 0 && field.toLowerCase() === name);
  return has("origin") && has("access-control-request-method");
}

function accepted(good: readonly (GoodToken & { readonly provider: CompiledProvider })[]): string {
  if (good.length === 0) return "its token is not good, which is allowed";
  const known = good.filter(({ payload }) => typeof payload["iss"] === "string");
  if (known.length === 0) return "its token is good";
  const who = known.map(({ payload }) => `${text(payload["sub"])} of ${text(payload["iss"])}`);
  return `its token is good and says that it is ${who.join(" and ")}`;
}

function text(claim: unknown): string {
  return typeof claim === "string" ? JSON.stringify(claim.slice(0, 128)) : "somebody";
}

/** Never the token itself. */
function tell({ trace }: DecisionView, plan: Plan | ReplyPlan, reason: string, refused = false): void {
  trace?.add({
    step: "filter",
    subject: "JWT",
    verdict: refused ? "chosen" : "passed-over",
    reason,
    owner: plan.provenance,
  });
}
