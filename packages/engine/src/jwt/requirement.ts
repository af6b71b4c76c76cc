import type {
  JwtProvider,
  JwtRequirement,
} from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { JwtFailure } from "../facts/jwt.js";
import { at, invalid } from "../snapshot/invalid.js";

/** What was found of one provider's tokens in a request: what the requirement is held against. */
export type ProviderVerdict =
  | { readonly status: "good" | "missing" | "other-issuer" }
  | { readonly status: "bad"; readonly reason: JwtFailure };

/** Everything that was found, by the provider's name. */
export interface JwtFindings {
  of(provider: string): ProviderVerdict;
  /** Why some token of the request is nobody's good one; undefined = there is none, or each is good. */
  readonly anyBad: JwtFailure | undefined;
}

/** Undefined = met; else why not. */
export type Requirement = (findings: JwtFindings) => JwtFailure | "Jwt is missing" | undefined;

/** Requirements within requirements, at most. */
const MAX_DEPTH = 16;

/** Compiles a requirement. `providers`: those that it may name. */
export function compileRequirement(
  here: string,
  requirement: JwtRequirement,
  providers: Readonly<Record<string, JwtProvider>>,
  depth = 0,
): Requirement {
  if (depth > MAX_DEPTH) throw invalid(here, `has more than ${MAX_DEPTH} levels`);
  const { requiresType: type } = requirement;
  switch (type.case) {
    case "providerName":
      return ofProvider(at(here, "provider_name"), type.value, providers);
    case "requiresAny": {
      const field = at(here, "requires_any.requirements");
      const each = type.value.requirements.map((one, index) =>
        compileRequirement(`${field}[${index}]`, one, providers, depth + 1),
      );
      if (each.length === 0) throw invalid(field, "must not be empty");
      return (findings) => anyOf(each, findings);
    }
    case "requiresAll": {
      const field = at(here, "requires_all.requirements");
      const each = type.value.requirements.map((one, index) =>
        compileRequirement(`${field}[${index}]`, one, providers, depth + 1),
      );
      return (findings) => firstFailure(each, findings);
    }
    case "allowMissing":
      return ({ anyBad }) => anyBad;
    case "allowMissingOrFailed":
      return () => undefined;
    case "providerAndAudiences":
      throw invalid(at(here, "provider_and_audiences"), "is not supported: set audiences of the provider");
    case undefined:
      throw invalid(here, "must say what is required");
  }
}

function ofProvider(
  here: string,
  name: string,
  providers: Readonly<Record<string, JwtProvider>>,
): Requirement {
  if (!Object.hasOwn(providers, name)) throw invalid(here, `${JSON.stringify(name)} is not a provider`);
  return (findings) => {
    const found = findings.of(name);
    switch (found.status) {
      case "good":
        return undefined;
      case "missing":
        return "Jwt is missing";
      case "other-issuer":
        return "Jwt issuer is not configured";
      case "bad":
        return found.reason;
    }
  };
}

/** Of several failures the most telling one: a token that was sent says more than one that was not. */
function anyOf(each: readonly Requirement[], findings: JwtFindings): ReturnType<Requirement> {
  let told: ReturnType<Requirement>;
  for (const requirement of each) {
    const failure = requirement(findings);
    if (failure === undefined) return undefined;
    if (told === undefined || told === "Jwt is missing" || told === "Jwt issuer is not configured")
      told = failure;
  }
  return told;
}

function firstFailure(each: readonly Requirement[], findings: JwtFindings): ReturnType<Requirement> {
  for (const requirement of each) {
    const failure = requirement(findings);
    if (failure !== undefined) return failure;
  }
  return undefined;
}
