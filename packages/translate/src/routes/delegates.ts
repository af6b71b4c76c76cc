import type { HttpMatchRequest, HttpRoute, MeshObject, StringMatch, VirtualServiceSpec } from "@tulle/api";
import { VIRTUAL_SERVICE } from "../kinds.js";
import { isPresence } from "../string-match.js";
import type { Translation } from "../translation.js";
import { isExported } from "../visibility.js";
import type { OwnedRule } from "./rule.js";

type VirtualService = MeshObject<VirtualServiceSpec>;

/** An http rule of a VirtualService. */
export interface VirtualServiceRule extends OwnedRule {
  readonly rule: HttpRoute;
  readonly object: VirtualService;
  /** Position in the object's `http` list. */
  readonly index: number;
}

/**
 * The http rules of an object in order, with the rules of the objects that it delegates to in the place of the delegating
 * ones. Delegates do not delegate further. A delegate's rule holds where both its own and the delegating match hold;
 * rules whose matches contradict each other are left out with a warning.
 */
export function rulesOf(t: Translation, root: VirtualService): VirtualServiceRule[] {
  return (root.spec.http ?? []).flatMap((rule, index) =>
    rule.delegate === undefined
      ? [{ rule, object: root, index, field: `http[${index}]` }]
      : delegated(t, root, rule, index),
  );
}

function delegated(
  t: Translation,
  root: VirtualService,
  parent: HttpRoute,
  index: number,
): VirtualServiceRule[] {
  const where = `VirtualService ${root.metadata.namespace}/${root.metadata.name} http[${index}]`;
  const name = parent.delegate?.name ?? "";
  const namespace = parent.delegate?.namespace ?? root.metadata.namespace;
  const object = t
    .objects<VirtualServiceSpec>(VIRTUAL_SERVICE)
    .find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  if (object === undefined || !isExported(object.spec.exportTo, namespace, root.metadata.namespace)) {
    t.warnOf(
      "IST0101",
      `${where}: the delegate ${namespace}/${name} does not exist or is not exported to ${root.metadata.namespace}`,
    );
    return [];
  }
  if ((object.spec.hosts ?? []).length > 0) {
    t.warnOf("TUL0005", `${where}: ${namespace}/${name} has hosts of its own, so it cannot be a delegate`);
    return [];
  }
  t.own(object);
  const rules: VirtualServiceRule[] = [];
  (object.spec.http ?? []).forEach((child, childIndex) => {
    const place = `VirtualService ${namespace}/${name} http[${childIndex}]`;
    if (child.delegate !== undefined) {
      t.warnOf("TUL0005", `${place}: a delegate cannot delegate further; the rule is left out`);
      return;
    }
    const match = mergeMatches(parent.match ?? [], child.match ?? []);
    if (match === undefined) {
      t.warn(`${place}: its matches contradict those of ${where}; the rule is left out`);
      return;
    }
    rules.push({
      rule: mergeRules(parent, child, match),
      object,
      index: childIndex,
      field: `http[${childIndex}]`,
    });
  });
  return rules;
}

/** What the delegating rule sets wins; destinations and replies are the delegate's. */
function mergeRules(parent: HttpRoute, child: HttpRoute, match: readonly HttpMatchRequest[]): HttpRoute {
  const { delegate: _delegate, name, ...settings } = parent;
  const fullName = [name, child.name].filter((part) => part !== undefined).join("-");
  return { ...child, ...settings, match, ...(fullName !== "" && { name: fullName }) };
}

/** Every pair that can hold at once; undefined when both sides have conditions and no pair can. */
function mergeMatches(
  parents: readonly HttpMatchRequest[],
  children: readonly HttpMatchRequest[],
): readonly HttpMatchRequest[] | undefined {
  if (parents.length === 0) return children;
  if (children.length === 0) return parents;
  const merged = parents.flatMap((parent) => children.map((child) => mergeMatch(parent, child)));
  const possible = merged.filter((match) => match !== undefined);
  return possible.length === 0 ? undefined : possible;
}

function mergeMatch(parent: HttpMatchRequest, child: HttpMatchRequest): HttpMatchRequest | undefined {
  const uri = narrower(parent.uri, child.uri);
  const method = narrower(parent.method, child.method);
  const scheme = narrower(parent.scheme, child.scheme);
  const authority = narrower(parent.authority, child.authority);
  const headers = mergeKeys(parent.headers, child.headers);
  const withoutHeaders = mergeKeys(parent.withoutHeaders, child.withoutHeaders);
  const queryParams = mergeKeys(parent.queryParams, child.queryParams);
  if (
    uri === CONFLICT ||
    method === CONFLICT ||
    scheme === CONFLICT ||
    authority === CONFLICT ||
    headers === CONFLICT ||
    withoutHeaders === CONFLICT ||
    queryParams === CONFLICT ||
    differ(parent.port, child.port) ||
    differ(parent.sourceNamespace, child.sourceNamespace)
  ) {
    return undefined;
  }
  return {
    ...parent,
    ...child,
    ...(uri && { uri }),
    ...(method && { method }),
    ...(scheme && { scheme }),
    ...(authority && { authority }),
    headers,
    withoutHeaders,
    queryParams,
    sourceLabels: { ...parent.sourceLabels, ...child.sourceLabels },
  };
}

const CONFLICT = "conflict";

/** The stricter of two matches where one implies the other. */
function narrower(
  a: StringMatch | undefined,
  b: StringMatch | undefined,
): StringMatch | undefined | typeof CONFLICT {
  if (a === undefined || isPresence(a)) return b ?? a;
  if (b === undefined || isPresence(b)) return a;
  if (implies(b, a)) return b;
  return implies(a, b) ? a : CONFLICT;
}

/** Whether every string that matches `a` matches `b`, as far as that can be told. */
function implies(a: StringMatch, b: StringMatch): boolean {
  if (a.regex !== undefined || b.regex !== undefined) return a.regex === b.regex;
  if (b.exact !== undefined) return a.exact === b.exact;
  return (a.exact ?? a.prefix ?? "").startsWith(b.prefix ?? "");
}

function mergeKeys(
  a: Readonly<Record<string, StringMatch>> | undefined,
  b: Readonly<Record<string, StringMatch>> | undefined,
): Record<string, StringMatch> | typeof CONFLICT {
  const merged = new Map(Object.entries(a ?? {}));
  for (const [key, match] of Object.entries(b ?? {})) {
    const both = narrower(merged.get(key), match);
    if (both === CONFLICT) return CONFLICT;
    if (both !== undefined) merged.set(key, both);
  }
  return Object.fromEntries(merged);
}

function differ<T>(a: T | undefined, b: T | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}
