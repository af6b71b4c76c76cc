import { MeshError } from "@tulle/base";

/** JSON as it comes from JSON.parse. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** RFC 7386: objects merge member by member, null removes, everything else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const out = copy(isObject(target) ? target : {});
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else define(out, name, mergePatch(own(out, name), value));
  }
  return out;
}

/**
 * Kubernetes' strategic merge patch for kinds whose lists are all replaced whole: a merge patch that also knows the
 * directives which kubectl sends (`$patch: replace|delete`; the ordering hints mean nothing here).
 */
export function strategicMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  if (patch["$patch"] === "delete") return {};
  const out = copy(isObject(target) && patch["$patch"] !== "replace" ? target : {});
  for (const [name, value] of Object.entries(patch)) {
    if (name === "$patch" || name === "$retainKeys" || name.startsWith("$setElementOrder/")) continue;
    const deleting = name.startsWith("$deleteFromPrimitiveList/");
    const field = deleting ? name.slice(name.indexOf("/") + 1) : name;
    const before = own(out, field);
    if (value === null) delete out[field];
    else if (deleting && Array.isArray(before) && Array.isArray(value)) {
      define(
        out,
        field,
        before.filter((item) => !value.includes(item)),
      );
    } else define(out, field, strategicMergePatch(before, value));
  }
  return out;
}

/**
 * Server-side apply for objects whose lists are atomic: what this manager applied before and does not apply now is
 * removed, what it applies is set, what others set stays.
 */
export function applyConfiguration(live: Json, previous: Json | undefined, applied: Json): Json {
  if (!isObject(applied)) return applied;
  const out = copy(isObject(live) ? live : {});
  if (isObject(previous)) {
    for (const name of Object.keys(previous)) if (!Object.hasOwn(applied, name)) delete out[name];
  }
  for (const [name, value] of Object.entries(applied)) {
    const before = isObject(previous) ? own(previous, name) : undefined;
    define(out, name, applyConfiguration(own(out, name) ?? null, before, value));
  }
  return out;
}

interface JsonPatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: Json;
}

const MAX_OPERATIONS = 1000;

/** RFC 6902. Throws `invalid` API_JSON_PATCH naming the operation that cannot be applied. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch) || patch.length > MAX_OPERATIONS) {
    throw badPatch(`expected a list of at most ${MAX_OPERATIONS} operations`);
  }
  let document = structuredClone<Json>(target);
  for (const [index, raw] of patch.entries()) {
    document = applyOperation(document, readOperation(raw as Json, index), index);
  }
  return document;
}

function readOperation(raw: Json, index: number): JsonPatchOperation {
  if (!isObject(raw) || typeof raw["op"] !== "string" || typeof raw["path"] !== "string") {
    throw badPatch(`[${index}]: expected {"op": …, "path": …}`);
  }
  return raw as unknown as JsonPatchOperation;
}

function applyOperation(document: Json, operation: JsonPatchOperation, index: number): Json {
  const at = `[${index}] ${operation.op} ${operation.path}`;
  const path = parsePointer(operation.path, at);
  const value = (): Json => {
    if (operation.value === undefined) throw badPatch(`${at}: "value" is missing`);
    return operation.value;
  };
  const from = (): readonly string[] => parsePointer(operation.from ?? "\u0000", at);
  switch (operation.op) {
    case "add":
      return edit(document, path, at, (parent, name) => insert(parent, name, value(), at), value);
    case "remove":
      return edit(
        document,
        path,
        at,
        (parent, name) => remove(parent, name, at),
        () => null,
      );
    case "replace":
      return edit(document, path, at, (parent, name) => replace(parent, name, value(), at), value);
    case "move": {
      const moved = lookup(document, from(), at);
      const without = edit(
        document,
        from(),
        at,
        (parent, name) => remove(parent, name, at),
        () => null,
      );
      return edit(
        without,
        path,
        at,
        (parent, name) => insert(parent, name, moved, at),
        () => moved,
      );
    }
    case "copy": {
      const copied = structuredClone<Json>(lookup(document, from(), at));
      return edit(
        document,
        path,
        at,
        (parent, name) => insert(parent, name, copied, at),
        () => copied,
      );
    }
    case "test":
      if (JSON.stringify(canonical(lookup(document, path, at))) !== JSON.stringify(canonical(value()))) {
        throw badPatch(`${at}: the value is another one`);
      }
      return document;
    default:
      throw badPatch(`${at}: unknown operation`);
  }
}

type Container = Record<string, Json> | Json[];

function edit(
  document: Json,
  path: readonly string[],
  at: string,
  change: (parent: Container, name: string) => void,
  whole: () => Json,
): Json {
  const last = path.at(-1);
  if (last === undefined) return whole();
  const parent = lookup(document, path.slice(0, -1), at);
  if (typeof parent !== "object" || parent === null) throw badPatch(`${at}: its parent is no object or list`);
  change(parent as Container, last);
  return document;
}

function insert(parent: Container, name: string, value: Json, at: string): void {
  if (Array.isArray(parent))
    parent.splice(name === "-" ? parent.length : position(parent, name, at, 1), 0, value);
  else define(parent, name, value);
}

function replace(parent: Container, name: string, value: Json, at: string): void {
  if (Array.isArray(parent)) parent[position(parent, name, at, 0)] = value;
  else if (Object.hasOwn(parent, name)) define(parent, name, value);
  else throw badPatch(`${at}: there is no such member`);
}

function remove(parent: Container, name: string, at: string): void {
  if (Array.isArray(parent)) parent.splice(position(parent, name, at, 0), 1);
  else if (Object.hasOwn(parent, name)) delete parent[name];
  else throw badPatch(`${at}: there is no such member`);
}

/** A list index; `beyond` 1 lets it point behind the last element. */
function position(list: readonly Json[], name: string, at: string, beyond: 0 | 1): number {
  const index = /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : Number.NaN;
  if (!(index < list.length + beyond)) throw badPatch(`${at}: there is no element ${name}`);
  return index;
}

function lookup(document: Json, path: readonly string[], at: string): Json {
  let current: Json | undefined = document;
  for (const name of path) {
    if (Array.isArray(current)) current = current[position(current, name, at, 0)] as Json;
    else current = isObject(current) ? own(current, name) : undefined;
    if (current === undefined) throw badPatch(`${at}: there is no such member`);
  }
  return current;
}

/** RFC 6901. */
function parsePointer(pointer: string, at: string): readonly string[] {
  if (pointer === "") return [];
  if (!pointer.startsWith("/")) throw badPatch(`${at}: a path starts with "/"`);
  return pointer
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The same value with object members in order of name, for comparing. */
export function canonical(value: Json): Json {
  if (Array.isArray(value)) return value.map((item) => canonical(item as Json));
  if (!isObject(value)) return value;
  const out: Record<string, Json> = {};
  for (const name of Object.keys(value).sort()) define(out, name, canonical(value[name] as Json));
  return out;
}

function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function copy(object: JsonObject): Record<string, Json> {
  const out: Record<string, Json> = {};
  for (const [name, value] of Object.entries(object)) define(out, name, value);
  return out;
}

/** Plain assignment to `__proto__` would change the prototype instead of adding a member. */
function define(object: Record<string, Json>, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

function badPatch(why: string): MeshError {
  return new MeshError("invalid", "API_JSON_PATCH", `cannot apply the patch: ${why}`);
}
