import { create } from "@bufbuild/protobuf";
import type { AuthorizationSource } from "@tulle/api";
import { PrincipalSchema, type Principal } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import type { StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import type { Term } from "./algebra.js";
import { cidrRange } from "./cidr-range.js";
import { headerMatcher } from "./header-matcher.js";
import { lists } from "./permission-terms.js";
import { claim, requestPrincipal } from "./token-conditions.js";
import { literalRegex, patternOf, textMatcher } from "./value-match.js";

export type PrincipalTerm = Term<Principal>;
type Lists = Pick<PrincipalTerm, "values" | "notValues">;

const SPIFFE = "spiffe://";
/** What stands for the mesh's own trust domain in policies, whatever it is called. */
const OWN_TRUST_DOMAIN = "cluster.local";

/** What a policy is read by. */
export interface PolicyContext {
  /** Of the policy: names without namespace are of it. */
  readonly namespace: string;
  /** Of the mesh, the own one first. */
  readonly trustDomains: readonly string[];
}

/** The fields of a source. */
export function sourceTerms(source: AuthorizationSource, context: PolicyContext): readonly PrincipalTerm[] {
  return [
    principalTerm(lists(source.principals, source.notPrincipals), context),
    requestPrincipalTerm(lists(source.requestPrincipals, source.notRequestPrincipals)),
    namespaceTerm(lists(source.namespaces, source.notNamespaces)),
    accountTerm(lists(source.serviceAccounts, source.notServiceAccounts), context),
    trustDomainTerm(lists(source.trustDomains, source.notTrustDomains), context),
    sourceAddressTerm(lists(source.ipBlocks, source.notIpBlocks)),
    remoteAddressTerm(lists(source.remoteIpBlocks, source.notRemoteIpBlocks)),
  ];
}

export function principalTerm({ values, notValues }: Lists, context: PolicyContext): PrincipalTerm {
  const each = (list: readonly string[]) => list.flatMap((value) => withAliases(value, context));
  return {
    values: each(values),
    notValues: each(notValues),
    httpOnly: false,
    make: (value) => {
      const pattern = patternOf(value);
      if (pattern.kind === "present") return peer(textMatcher("prefix", SPIFFE));
      const { kind, text } = pattern;
      return peer(textMatcher(kind, kind === "suffix" ? text : `${SPIFFE}${text}`));
    },
  };
}

/** A principal of one of the mesh's trust domains means the same one in each of them. */
function withAliases(written: string, { trustDomains }: PolicyContext): readonly string[] {
  const value = written.startsWith(SPIFFE) ? written.slice(SPIFFE.length) : written;
  const slash = value.indexOf("/");
  const domain = value.slice(0, Math.max(slash, 0));
  if (slash <= 0 || value.startsWith("*") || !(trustDomains.includes(domain) || domain === OWN_TRUST_DOMAIN))
    return [value];
  return [...new Set([value, ...trustDomains.map((one) => `${one}${value.slice(slash)}`)])];
}

export function namespaceTerm(values: Lists): PrincipalTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) => {
      const pattern = patternOf(value);
      switch (pattern.kind) {
        case "present":
          return peer(textMatcher("contains", "/ns/"));
        case "exact":
          // With what follows it: `/ns/ns/sa/x` has a `/ns/sa/`, too.
          return peer(textMatcher("contains", `/ns/${pattern.text}/sa/`));
        case "prefix":
          return peer(literalRegex("spiffe://[^/]+/ns/", pattern.text, "[^/]*/sa/.*"));
        case "suffix":
          return peer(literalRegex("spiffe://[^/]+/ns/[^/]*", pattern.text, "/sa/.*"));
      }
    },
  };
}

export function accountTerm(values: Lists, { namespace }: PolicyContext): PrincipalTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) => {
      const [account = "", inNamespace = namespace] = value.split("/").toReversed();
      return peer(textMatcher("suffix", `/ns/${inNamespace}/sa/${account}`));
    },
  };
}

export function trustDomainTerm(
  { values, notValues }: Lists,
  { trustDomains }: PolicyContext,
): PrincipalTerm {
  const each = (list: readonly string[]) =>
    list.flatMap((value) => (value === OWN_TRUST_DOMAIN ? [value, ...trustDomains] : [value]));
  return {
    values: each(values),
    notValues: each(notValues),
    httpOnly: false,
    make: (value) => {
      const pattern = patternOf(value);
      switch (pattern.kind) {
        case "present":
          return peer(textMatcher("prefix", SPIFFE));
        case "exact":
          return peer(textMatcher("prefix", `${SPIFFE}${pattern.text}/`));
        case "prefix":
          return peer(textMatcher("prefix", `${SPIFFE}${pattern.text}`));
        case "suffix":
          return peer(literalRegex("spiffe://[^/]*", pattern.text, "/.*"));
      }
    },
  };
}

export function sourceAddressTerm(values: Lists): PrincipalTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) =>
      create(PrincipalSchema, { identifier: { case: "directRemoteIp", value: cidrRange(value) } }),
  };
}

export function remoteAddressTerm(values: Lists): PrincipalTerm {
  return {
    ...values,
    httpOnly: false,
    make: (value) => create(PrincipalSchema, { identifier: { case: "remoteIp", value: cidrRange(value) } }),
  };
}

export function requestPrincipalTerm(values: Lists): PrincipalTerm {
  return { ...values, httpOnly: true, make: requestPrincipal };
}

/** A claim of the verified token; text, or a list with such a text. */
export function claimTerm(values: Lists, path: readonly string[]): PrincipalTerm {
  return { ...values, httpOnly: true, make: (value) => claim(path, patternOf(value)) };
}

export function headerTerm(values: Lists, name: string): PrincipalTerm {
  return {
    ...values,
    httpOnly: true,
    make: (value) =>
      create(PrincipalSchema, { identifier: { case: "header", value: headerMatcher(name, value) } }),
  };
}

function peer(principalName: StringMatcher): Principal {
  return create(PrincipalSchema, { identifier: { case: "authenticated", value: { principalName } } });
}
