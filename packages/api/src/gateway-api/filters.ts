import { structsOf, struct, type Rule } from "../schema/struct.js";
import { group, kindName, objectName } from "./names.js";

/** The field that holds what a filter of some type does. */
export type FilterFields = Readonly<Record<string, string>>;

/** A filter, or `what` else has a type, has the field of its type and no other. */
export function fieldOfType(fields: FilterFields, what = "a filter"): Rule {
  return (filter, report) => {
    for (const [type, field] of Object.entries(fields)) {
      if (filter["type"] === type && filter[field] === undefined)
        report([field], `is required for ${what} of type ${type}`);
      if (filter["type"] !== type && filter[field] !== undefined)
        report([field], `belongs to ${what} of type ${type}`);
    }
  };
}

/** Filters of these types come once in the list `filters`. */
export function onceEach(...types: readonly string[]): Rule {
  return (fields, report) => {
    const seen = new Set<unknown>();
    for (const [index, { type }] of structsOf(fields["filters"])) {
      if (typeof type !== "string" || !types.includes(type)) continue;
      if (seen.has(type)) report(["filters", index], `repeats the filter ${type}; it can stand once`);
      seen.add(type);
    }
  };
}

/** The filters `one` and `other` do not stand in one list. */
export function notBoth(one: string, other: string): Rule {
  return (fields, report) => {
    const types = structsOf(fields["filters"]).map(([, { type }]) => type);
    if (types.includes(one) && types.includes(other)) {
      report(["filters"], `cannot have both a ${one} and a ${other}; keep one of them`);
    }
  };
}

export const extensionRef = struct({ group, kind: kindName, name: objectName });
