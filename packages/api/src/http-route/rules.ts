import { isFields, listOf, structsOf, type Fields, type Rule } from "../schema/struct.js";
import { parseDuration } from "@tulle/base";

/** Items of the list `field` have different names; headers' without regard to case. */
export function distinctNames(field: "headers" | "queryParams"): Rule {
  return (fields, report) => {
    const seen = new Set<string>();
    for (const [index, { name }] of structsOf(fields[field])) {
      if (typeof name !== "string") continue;
      const key = field === "headers" ? name.toLowerCase() : name;
      if (seen.has(key)) report([field, index, "name"], `repeats ${JSON.stringify(name)}`);
      seen.add(key);
    }
  };
}

/** What is answered with a redirect goes to no backend. */
export const redirectGoesNowhere: Rule = (fields, report) => {
  if (listOf(fields["backendRefs"]).length === 0) return;
  for (const [index, { type }] of structsOf(fields["filters"])) {
    if (type === "RequestRedirect") {
      report(["filters", index], "cannot stand in a rule with backendRefs: a redirect goes to no backend");
    }
  }
};

/** A prefix can be replaced where there is exactly one: in rules with one match, of a path prefix. */
export const prefixToReplace: Rule = (fields, report) => {
  if (matchesOnePrefix(fields)) return;
  const message = "needs a rule with exactly one match, of type PathPrefix";
  for (const path of replacedPrefixes(fields)) report(path, message);
  for (const [index, backend] of structsOf(fields["backendRefs"])) {
    for (const path of replacedPrefixes(backend)) report(["backendRefs", index, ...path], message);
  }
};

function matchesOnePrefix(rule: Fields): boolean {
  if (rule["matches"] === undefined) return true;
  const matches = listOf(rule["matches"]);
  const [only] = matches;
  if (matches.length !== 1 || !isFields(only)) return false;
  const path = only["path"];
  return path === undefined || (isFields(path) && (path["type"] ?? "PathPrefix") === "PathPrefix");
}

/** Paths of every `replacePrefixMatch` in a list of filters. */
export function* replacedPrefixes(fields: Fields): Iterable<readonly (string | number)[]> {
  for (const [index, filter] of structsOf(fields["filters"])) {
    for (const name of ["requestRedirect", "urlRewrite"]) {
      const modifier = isFields(filter[name]) ? filter[name]["path"] : undefined;
      if (isFields(modifier) && modifier["replacePrefixMatch"] !== undefined) {
        yield ["filters", index, name, "path", "replacePrefixMatch"];
      }
    }
  }
}

/** One try is not given more time than all of them. */
export const tryWithinRequest: Rule = ({ request, backendRequest }, report) => {
  if (typeof request !== "string" || typeof backendRequest !== "string") return;
  const wholeMs = parseDuration(request) ?? 0;
  const tryMs = parseDuration(backendRequest) ?? 0;
  if (wholeMs > 0 && tryMs > wholeMs)
    report(["backendRequest"], `cannot be longer than request (${request})`);
};

/** `*` stands alone. */
export function allOrSome(field: string): Rule {
  return (fields, report) => {
    const list = listOf(fields[field]);
    if (list.includes("*") && list.length > 1) report([field], 'must hold nothing else when it holds "*"');
  };
}
