import { RBAC_Action, type Policy, type RBAC } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import { lowerName } from "@tulle/http";
import type { ConnectionFacts, Facts } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Provenance } from "../snapshot/contract.js";
import { compilePermission, compilePrincipal } from "./compile-rules.js";
import {
  All,
  Any,
  exactPaths,
  holds,
  neededHeader,
  pathPrefixes,
  reduce,
  type Condition,
} from "./condition.js";
import { PrefixIndex } from "./prefix-index.js";
import { policyOwner } from "./policy-name.js";
import { pathReadings } from "./path-readings.js";

/** One policy of a filter, which is one rule of an object. */
export interface CompiledPolicy {
  readonly name: string;
  readonly condition: Condition;
  /** The object that its name tells; undefined where it follows no convention. */
  readonly owner: Provenance | undefined;
}

export type RbacAction = "ALLOW" | "DENY" | "LOG";

/** From so many rules on that are left for a connection they are looked up by path. */
const INDEXED = 8;
/** Paths in an index. */
const MAX_PATHS = 4096;

/**
 * A set of policies. What only the connection decides is decided once for each of them: for its requests the rules that can
 * still match are left, those for certain paths, or paths that begin in some way, found by the path.
 */
export class Rbac {
  readonly action: RbacAction;
  /** By name, as Envoy goes through them. */
  readonly policies: readonly CompiledPolicy[];
  readonly #byConnection = new WeakMap<ConnectionFacts, ConnectionRules>();
  #lastConnection: ConnectionFacts | undefined;
  #lastRules: ConnectionRules | undefined;

  constructor(action: RbacAction, policies: readonly CompiledPolicy[]) {
    this.action = action;
    this.policies = policies;
  }

  /** The policy that matches, of several the first by name. */
  find(facts: Facts): CompiledPolicy | undefined {
    const { connection } = facts;
    if (connection === undefined) return this.policies.find(({ condition }) => holds(condition, facts));
    return this.#rulesOf(connection, facts).find(facts);
  }

  /** Whether a request goes on for which `find` gave this. */
  allows(found: CompiledPolicy | undefined): boolean {
    return this.action === "LOG" || (found !== undefined) === (this.action === "ALLOW");
  }

  #rulesOf(connection: ConnectionFacts, facts: Facts): ConnectionRules {
    if (connection === this.#lastConnection && this.#lastRules !== undefined) return this.#lastRules;
    let rules = this.#byConnection.get(connection);
    if (rules === undefined) {
      rules = new ConnectionRules(this.policies, facts);
      this.#byConnection.set(connection, rules);
    }
    this.#lastConnection = connection;
    this.#lastRules = rules;
    return rules;
  }
}

interface Rule {
  readonly position: number;
  readonly condition: Condition;
  readonly policy: CompiledPolicy;
}

/** What is left of policies for the requests of a connection. */
class ConnectionRules {
  readonly #all: readonly Rule[];
  /** Not to be found by path, in their order. */
  readonly #others: readonly Rule[];
  readonly #byPath: ReadonlyMap<string, readonly Rule[]> | undefined;
  readonly #byPrefix = new PrefixIndex<Rule>();
  /** Of the others those that need a header field, by its name. */
  readonly #byHeader: ReadonlyMap<string, readonly Rule[]> = new Map();
  /** Lengths of these names, as bits: most fields of a request are told from them by it. */
  readonly #headerLengths: number = 0;

  constructor(policies: readonly CompiledPolicy[], facts: Facts) {
    const rules: Rule[] = [];
    for (const [position, policy] of policies.entries()) {
      const condition = reduce(policy.condition, facts);
      if (condition !== false) rules.push({ position, condition, policy });
      if (condition === true) break;
    }
    this.#all = rules;
    if (rules.length < INDEXED) {
      this.#others = rules;
      this.#byPath = undefined;
      return;
    }
    const byPath = new Map<string, Rule[]>();
    const byHeader = new Map<string, Rule[]>();
    this.#others = rules.filter((rule) => {
      const paths = exactPaths(rule.condition);
      const header = neededHeader(rule.condition);
      if (paths !== undefined && byPath.size + paths.length <= MAX_PATHS)
        for (const path of new Set(paths)) file(byPath, path, rule);
      else if (this.#byPrefix.add(pathPrefixes(rule.condition), rule)) return false;
      else if (header !== undefined) file(byHeader, header, rule);
      else return true;
      return false;
    });
    this.#byPath = byPath;
    this.#byHeader = byHeader;
    for (const name of byHeader.keys()) this.#headerLengths |= lengthBit(name);
  }

  find(facts: Facts): CompiledPolicy | undefined {
    if (this.#byPath === undefined) return firstOf(this.#others, facts)?.policy;
    const { request } = facts;
    const readings = pathReadings(request);
    // What may be taken for another path is not to be found by its own.
    if (readings.length > 1) return firstOf(this.#all, facts)?.policy;
    const path = readings[0]!;
    const named = this.#byPath.get(path);
    let found = named === undefined ? undefined : firstOf(named, facts);
    for (const { length, rules } of this.#byPrefix.groups) {
      const those = path.length < length ? undefined : rules.get(path.slice(0, length));
      if (those !== undefined) found = earlier(found, firstOf(those, facts));
    }
    found = earlier(found, firstOf(this.#others, facts));
    if (this.#headerLengths !== 0) {
      const { headers } = request;
      for (let index = 0; index < headers.length; index += 2) {
        if ((lengthBit(headers[index]!) & this.#headerLengths) === 0) continue;
        const those = this.#byHeader.get(lowerName(headers[index]!));
        if (those !== undefined) found = earlier(found, firstOf(those, facts));
      }
    }
    return found?.policy;
  }
}

function lengthBit(name: string): number {
  return 1 << Math.min(name.length, 30);
}

function file(index: Map<string, Rule[]>, key: string, rule: Rule): void {
  const same = index.get(key);
  if (same === undefined) index.set(key, [rule]);
  else same.push(rule);
}

function earlier(one: Rule | undefined, other: Rule | undefined): Rule | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.position < other.position ? one : other;
}

function firstOf(rules: readonly Rule[], facts: Facts): Rule | undefined {
  for (let index = 0; index < rules.length; index++) {
    const rule = rules[index]!;
    if (holds(rule.condition, facts)) return rule;
  }
  return undefined;
}

/** Compiles a set of policies; undefined = there is none. */
export function compileRbac(field: string, rbac: RBAC | undefined): Rbac | undefined {
  if (rbac === undefined) return undefined;
  const action = actionOf(at(field, "action"), rbac.action);
  const policies = Object.entries(rbac.policies)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, policy]) =>
      compilePolicy(at(field, `policies[${JSON.stringify(name)}]`), name, policy, action !== "ALLOW"),
    );
  return new Rbac(action, policies);
}

function actionOf(field: string, action: RBAC_Action): RbacAction {
  switch (action) {
    case RBAC_Action.ALLOW:
      return "ALLOW";
    case RBAC_Action.DENY:
      return "DENY";
    case RBAC_Action.LOG:
      return "LOG";
    default:
      throw invalid(field, "must be ALLOW, DENY or LOG");
  }
}

function compilePolicy(field: string, name: string, policy: Policy, inDoubt: boolean): CompiledPolicy {
  if (policy.condition !== undefined || policy.checkedCondition !== undefined)
    throw invalid(at(field, "condition"), "is not supported");
  if (policy.permissions.length === 0) throw invalid(at(field, "permissions"), "must not be empty");
  if (policy.principals.length === 0) throw invalid(at(field, "principals"), "must not be empty");
  const permissions = policy.permissions.map((one, index) =>
    compilePermission(at(field, `permissions[${index}]`), one, inDoubt),
  );
  const principals = policy.principals.map((one, index) =>
    compilePrincipal(at(field, `principals[${index}]`), one, inDoubt),
  );
  const condition = new All([oneOf(principals), oneOf(permissions)]);
  return { name, condition, owner: policyOwner(name) };
}

function oneOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 1 ? conditions[0]! : new Any(conditions);
}
