import { create } from "@bufbuild/protobuf";
import { conditionKey, type AuthorizationCondition, type AuthorizationRule } from "@tulle/api";
import { PolicySchema, type Permission, type Policy } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { conjunction, PERMISSIONS, PRINCIPALS, type Term } from "./algebra.js";
import { destinationTerm, lists, operationTerms, portTerm, serverNameTerm } from "./permission-terms.js";
import {
  accountTerm,
  claimTerm,
  headerTerm,
  namespaceTerm,
  principalTerm,
  remoteAddressTerm,
  requestPrincipalTerm,
  sourceAddressTerm,
  sourceTerms,
  trustDomainTerm,
  type PolicyContext,
  type PrincipalTerm,
} from "./principal-terms.js";

/** What a rule is made for. */
export interface RuleUse {
  /** Whether what matches is refused, or at least noted: not one that allows. */
  readonly refuses: boolean;
  /** For connections that carry bytes. */
  readonly bytes: boolean;
  /** Of the workload, where it is known. */
  readonly port: number | undefined;
}

/**
 * A rule as a policy of Envoy's. Undefined: it never matches here. On bytes, a rule that allows by what only HTTP has never
 * matches, and one that refuses does without it, as in Istio: each errs on the side of refusing.
 */
export function rulePolicy(
  rule: AuthorizationRule,
  use: RuleUse,
  context: PolicyContext,
): Policy | undefined {
  const base = conditionTerms(rule.when ?? [], use, context);
  const froms = orOne(rule.from).map((from) => [
    ...(from === undefined ? [] : sourceTerms(from.source, context)),
    ...base.principals,
  ]);
  const tos = orOne(rule.to).map((to) => [
    ...(to === undefined ? [] : operationTerms(to.operation, use.port)),
    ...base.permissions,
  ]);
  if (use.bytes && !use.refuses && [...froms, ...tos].some((terms) => terms.some(isHttp))) return undefined;
  const principals = conjunctions(PRINCIPALS, froms, use);
  const permissions = conjunctions(PERMISSIONS, tos, use);
  return principals.length === 0 || permissions.length === 0
    ? undefined
    : create(PolicySchema, { principals, permissions });
}

function isHttp<Condition>({ httpOnly, values, notValues }: Term<Condition>): boolean {
  return httpOnly && (values.length > 0 || notValues.length > 0);
}

function conjunctions<Condition>(
  algebra: Parameters<typeof conjunction<Condition>>[0],
  alternatives: readonly (readonly Term<Condition>[])[],
  { refuses, bytes }: RuleUse,
): Condition[] {
  return alternatives
    .map((terms) => conjunction(algebra, terms, refuses, bytes))
    .filter((made) => made !== false) as Condition[];
}

/** A list that is not there is one alternative without conditions. */
function orOne<Item>(items: readonly Item[] | undefined): readonly (Item | undefined)[] {
  return items === undefined || items.length === 0 ? [undefined] : items;
}

interface ConditionTerms {
  readonly permissions: readonly Term<Permission>[];
  readonly principals: readonly PrincipalTerm[];
}

function conditionTerms(
  conditions: readonly AuthorizationCondition[],
  { port }: RuleUse,
  context: PolicyContext,
): ConditionTerms {
  const permissions: Term<Permission>[] = [];
  const principals: PrincipalTerm[] = [];
  for (const { key, values, notValues } of conditions) {
    const read = conditionKey(key);
    // The kind's check has refused what cannot be read.
    if (read === undefined) throw new TypeError(`unknown condition ${JSON.stringify(key)}`);
    const both = lists(values, notValues);
    switch (read.kind) {
      case "destination-ip":
        permissions.push(destinationTerm(both));
        break;
      case "destination-port":
        permissions.push(portTerm(both, port));
        break;
      case "sni":
        permissions.push(serverNameTerm(both));
        break;
      case "source-ip":
        principals.push(sourceAddressTerm(both));
        break;
      case "remote-ip":
        principals.push(remoteAddressTerm(both));
        break;
      case "source-namespace":
        principals.push(namespaceTerm(both));
        break;
      case "source-principal":
        principals.push(principalTerm(both, context));
        break;
      case "source-service-account":
        principals.push(accountTerm(both, context));
        break;
      case "source-trust-domain":
        principals.push(trustDomainTerm(both, context));
        break;
      case "request-principal":
        principals.push(requestPrincipalTerm(both));
        break;
      case "request-audiences":
        principals.push(claimTerm(both, ["aud"]));
        break;
      case "request-presenter":
        principals.push(claimTerm(both, ["azp"]));
        break;
      case "request-claim":
        principals.push(claimTerm(both, read.path));
        break;
      case "header":
        principals.push(headerTerm(both, read.path[0] ?? ""));
        break;
    }
  }
  return { permissions, principals };
}
