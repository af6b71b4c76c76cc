import type { Kind } from "./kind.js";
import { apiVersionOf, parseApiVersion } from "./api-version.js";
import { fromUniversal } from "./kuma/universal.js";
import { configEntryObject, configEntryPath } from "./consul/entry.js";
import { findKind, KINDS } from "./kinds.js";
import { show } from "./schema/describe.js";
import { parsePath } from "./schema/path.js";
import { isFields, type Fields } from "./schema/struct.js";
import { unknownField } from "./schema/violations.js";
import type { SourcePosition, SourceProblem } from "./source/position.js";
import { readYaml, type YamlDocument } from "./source/yaml.js";

/** One object that a user wrote: its kind is known, its content is not checked yet. */
export interface SourceObject extends SourcePosition {
  readonly object: Fields;
  readonly kind: Kind;
  /** The version that it is written in. */
  readonly version: string;
  /** Where a violation's path (`spec.http[0].timeout`) stands, or the nearest part around it that is there. */
  at(path: string): SourcePosition;
}

export interface SourceObjects {
  readonly objects: readonly SourceObject[];
  /** With any of these, nothing of the text should be applied. */
  readonly problems: readonly SourceProblem[];
}

/**
 * The objects of a YAML or JSON text of one or more documents, in order. Lists (`kind: List` or `VirtualServiceList`)
 * stand for their items, and what is written in Kuma's universal form for the object that it means. Never throws.
 */
export function parseObjects(text: string, source: string, kinds: readonly Kind[] = KINDS): SourceObjects {
  const { documents, problems } = readYaml(text, source);
  const found: SourceObject[] = [];
  const wrong: SourceProblem[] = [...problems];
  for (const document of documents) {
    for (const { value, path, defaults } of expandList(document.value)) {
      const result = recognise(value, defaults, kinds);
      if (typeof result === "string") wrong.push({ ...document.at(path), message: result });
      else if ("unknownKind" in result) wrong.push({ ...document.at(path), ...result });
      else {
        const { writtenAs, ...object } = result;
        found.push({ ...object, ...document.at(path), at: locator(document, path, writtenAs) });
      }
    }
  }
  return { objects: found, problems: wrong };
}

interface Candidate {
  readonly value: unknown;
  readonly path: readonly (string | number)[];
  /** What a typed list says of its items. */
  readonly defaults: Fields;
}

function expandList(value: unknown): readonly Candidate[] {
  const plain = [{ value, path: [], defaults: {} }];
  if (!isFields(value) || !Array.isArray(value["items"]) || typeof value["kind"] !== "string") return plain;
  const { kind, apiVersion } = value;
  if (!kind.endsWith("List")) return plain;
  const itemKind = kind.slice(0, -"List".length);
  const defaults =
    itemKind === "" ? {} : { kind: itemKind, ...(apiVersion === undefined ? {} : { apiVersion }) };
  return value["items"].map((item: unknown, index) => ({ value: item, path: ["items", index], defaults }));
}

type Recognised =
  | (Pick<SourceObject, "object" | "kind" | "version"> & { readonly writtenAs: EntryForm | undefined })
  | { readonly message: string; readonly unknownKind: string }
  | string;

function recognise(value: unknown, defaults: Fields, kinds: readonly Kind[]): Recognised {
  if (!isFields(value)) return "is not an object: expected apiVersion, kind, metadata and spec";
  const entry = configEntryObject(value);
  const object: Fields = entry ?? fromUniversal(value) ?? { ...defaults, ...value };
  const { apiVersion, kind: name } = object;
  if (typeof apiVersion !== "string")
    return 'has no apiVersion: expected one such as "networking.istio.io/v1"';
  if (typeof name !== "string") return 'has no kind: expected one such as "VirtualService"';
  const parsed = parseApiVersion(apiVersion);
  if (parsed === undefined) return `has the apiVersion ${show(apiVersion)}: expected group/version`;
  const kind = findKind(parsed.group, name, kinds);
  if (kind === undefined) {
    const message = unknownKind(parsed.group, name, kinds);
    // One that a known kind was meant by is a mistake.
    const isSlip = message.includes("did you mean") || kinds.some((each) => each.kind === name);
    return isSlip ? message : { message, unknownKind: parsed.group };
  }
  if (!kind.versions.includes(parsed.version)) {
    const known = kind.versions.map((version) => apiVersionOf(kind.group, version)).join(", ");
    return `has the apiVersion ${show(apiVersion)}: a ${name} can be written in ${known}`;
  }
  const form = "Kind" in value ? "CamelCase" : "snake_case";
  return { object, kind, version: parsed.version, writtenAs: entry === undefined ? undefined : form };
}

function unknownKind(group: string, name: string, kinds: readonly Kind[]): string {
  const elsewhere = kinds.find((kind) => kind.kind === name);
  if (elsewhere !== undefined) {
    return `has the wrong group: a ${name} has apiVersion ${apiVersionOf(elsewhere.group, elsewhere.storageVersion)}`;
  }
  const names = kinds.filter((kind) => kind.group === group).map((kind) => kind.kind);
  const what = `kind ${show(name)} of ${group === "" ? "the core group" : show(group)}`;
  return `${what} ${unknownField(name, names).replace("a known field", "known here")}`;
}

/** How the fields of a configuration entry of Consul's are spelt. */
type EntryForm = "CamelCase" | "snake_case";

function locator(
  document: YamlDocument,
  root: readonly (string | number)[],
  form: EntryForm | undefined,
): SourceObject["at"] {
  return (path) =>
    document.at([...root, ...parsePath(form === undefined ? path : configEntryPath(path, form))]);
}
