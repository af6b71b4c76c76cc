import { create } from "@bufbuild/protobuf";
import {
  PermissionSchema,
  PrincipalSchema,
  type Permission,
  type Principal,
} from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";

/** How conditions of one of Envoy's two types are put together. */
export interface Algebra<Condition> {
  readonly anything: () => Condition;
  readonly all: (parts: readonly Condition[]) => Condition;
  readonly any: (parts: readonly Condition[]) => Condition;
  readonly not: (part: Condition) => Condition;
}

export const PERMISSIONS: Algebra<Permission> = {
  anything: () => create(PermissionSchema, { rule: { case: "any", value: true } }),
  all: (parts) =>
    parts.length === 1
      ? parts[0]!
      : create(PermissionSchema, { rule: { case: "andRules", value: { rules: [...parts] } } }),
  any: (parts) =>
    parts.length === 1
      ? parts[0]!
      : create(PermissionSchema, { rule: { case: "orRules", value: { rules: [...parts] } } }),
  not: (part) => create(PermissionSchema, { rule: { case: "notRule", value: part } }),
};

export const PRINCIPALS: Algebra<Principal> = {
  anything: () => create(PrincipalSchema, { identifier: { case: "any", value: true } }),
  all: (parts) =>
    parts.length === 1
      ? parts[0]!
      : create(PrincipalSchema, { identifier: { case: "andIds", value: { ids: [...parts] } } }),
  any: (parts) =>
    parts.length === 1
      ? parts[0]!
      : create(PrincipalSchema, { identifier: { case: "orIds", value: { ids: [...parts] } } }),
  not: (part) => create(PrincipalSchema, { identifier: { case: "notId", value: part } }),
};

/** A field of a rule: one of the values, none of the others. */
export interface Term<Condition> {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  /** Bytes have nothing of it. */
  readonly httpOnly: boolean;
  /**
   * A value's condition. `widely`: it serves to refuse, and must not miss what a caller can write otherwise. A boolean where
   * it is known already.
   */
  readonly make: (value: string, widely: boolean) => Condition | boolean;
}

/**
 * All terms together; false = they never hold. `refuses`: the rule is one that refuses. Values of what only HTTP has are left
 * out with `bytes`.
 */
export function conjunction<Condition>(
  algebra: Algebra<Condition>,
  terms: readonly Term<Condition>[],
  refuses: boolean,
  bytes: boolean,
): Condition | false {
  const parts: Condition[] = [];
  for (const { values, notValues, httpOnly, make } of terms) {
    if (bytes && httpOnly) continue;
    if (values.length > 0) {
      const one = disjunction(
        algebra,
        values.map((value) => make(value, refuses)),
      );
      if (one === false) return false;
      if (one !== true) parts.push(one);
    }
    if (notValues.length > 0) {
      const none = disjunction(
        algebra,
        notValues.map((value) => make(value, !refuses)),
      );
      if (none === true) return false;
      if (none !== false) parts.push(algebra.not(none));
    }
  }
  return parts.length === 0 ? algebra.anything() : algebra.all(parts);
}

function disjunction<Condition>(
  algebra: Algebra<Condition>,
  parts: readonly (Condition | boolean)[],
): Condition | boolean {
  if (parts.includes(true)) return true;
  const open = parts.filter((part) => typeof part !== "boolean") as Condition[];
  return open.length === 0 ? false : algebra.any(open);
}
