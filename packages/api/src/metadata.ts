import type { Kind, Violation } from "./kind.js";
import { isLabelValue, isQualifiedName, LABEL_KEY, LABEL_VALUE } from "./schema/labels.js";
import { isDnsLabel, isDnsSubdomain } from "./schema/namespaces.js";
import { show, typeName } from "./schema/describe.js";
import { formatPath } from "./schema/path.js";
import { isFields, type Fields } from "./schema/struct.js";
import { bounded } from "./schema/violations.js";

/** Most bytes of all annotations' keys and values together, as in Kubernetes. */
export const MAX_ANNOTATION_BYTES = 262_144;
const MAX_ENTRIES = 1000;

/** The part of metadata that users write. What the server sets (uid, revision, times) is not read from them. */
export interface WrittenMeta {
  /** Empty when only `generateName` was given. */
  readonly name: string;
  readonly generateName?: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly unknown[];
  /** The revision that the writer has seen; absent: any. */
  readonly resourceVersion?: string;
  readonly uid?: string;
}

export type CheckedMeta =
  | { readonly ok: true; readonly metadata: WrittenMeta }
  | { readonly ok: false; readonly violations: readonly Violation[] };

export interface MetadataOptions {
  /** Namespace of objects that name none; default `default`. */
  readonly namespace?: string;
}

/**
 * Checks `metadata` as a user wrote it. Null fields are absent ones: clients written in Go send
 * `creationTimestamp: null`. Fields that Tulle does not keep are ignored.
 */
export function checkMetadata(
  kind: Pick<Kind, "scope" | "kind" | "group">,
  raw: unknown,
  options: MetadataOptions = {},
): CheckedMeta {
  if (!isFields(raw)) {
    const message =
      raw === undefined ? "is required: expected an object" : `expected an object, got ${typeName(raw)}`;
    return { ok: false, violations: [{ path: "metadata", message }] };
  }
  const reader = new MetadataReader(raw);
  const metadata = {
    ...reader.names(kind),
    namespace: reader.namespace(kind, options.namespace ?? "default"),
    ...reader.map("labels"),
    ...reader.map("annotations"),
    ...reader.lists(),
    ...reader.text("resourceVersion"),
    ...reader.text("uid"),
  };
  if (reader.violations.length > 0) return { ok: false, violations: bounded(reader.violations, "metadata") };
  return { ok: true, metadata };
}

class MetadataReader {
  readonly violations: Violation[] = [];
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  names(kind: Pick<Kind, "kind" | "group">): Pick<WrittenMeta, "name" | "generateName"> {
    const isNamespace = kind.group === "" && kind.kind === "Namespace";
    const isName = isNamespace ? isDnsLabel : isDnsSubdomain;
    const expected = isNamespace
      ? "1 to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"
      : "1 to 253 lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit";
    const name = this.#string("name");
    const prefix = this.#string("generateName");
    if (name === undefined && prefix === undefined)
      this.#refuse(["name"], `is required: expected ${expected}`);
    if (name !== undefined && !isName(name))
      this.#refuse(["name"], `expected ${expected}, got ${show(name)}`);
    if (name === undefined && prefix !== undefined && !isName(`${prefix.slice(0, 58)}x`)) {
      this.#refuse(["generateName"], `expected the beginning of a name, got ${show(prefix)}`);
    }
    return { name: name ?? "", ...(prefix === undefined ? {} : { generateName: prefix }) };
  }

  namespace(kind: Pick<Kind, "scope" | "kind">, whenAbsent: string): string {
    const namespace = this.#string("namespace");
    if (kind.scope === "Cluster") {
      if (namespace !== undefined)
        this.#refuse(["namespace"], `cannot be given: a ${kind.kind} is in no namespace`);
      return "";
    }
    if (namespace === undefined) return whenAbsent;
    if (!isDnsLabel(namespace)) {
      this.#refuse(["namespace"], `expected a namespace such as "default", got ${show(namespace)}`);
    }
    return namespace;
  }

  map(field: "labels" | "annotations"): Pick<WrittenMeta, "labels" | "annotations"> {
    const raw = this.#fields[field];
    if (raw === undefined || raw === null) return {};
    if (!isFields(raw)) {
      this.#refuse([field], `expected an object, got ${typeName(raw)}`);
      return {};
    }
    const entries = Object.entries(raw);
    if (entries.length > MAX_ENTRIES) {
      this.#refuse([field], `has ${entries.length} keys; at most ${MAX_ENTRIES} are allowed`);
      return {};
    }
    const kept: [string, string][] = [];
    let size = 0;
    for (const [key, value] of entries) {
      // Annotations' keys may have upper-case prefixes, as in Kubernetes.
      const isKey = isQualifiedName(field === "annotations" ? key.toLowerCase() : key) && key !== "__proto__";
      if (!isKey) this.#refuse([field, key], `expected ${LABEL_KEY} as key, got ${show(key)}`);
      if (typeof value !== "string") this.#refuse([field, key], `expected a string, got ${typeName(value)}`);
      else if (field === "labels" && !isLabelValue(value)) {
        this.#refuse([field, key], `expected ${LABEL_VALUE}; got ${show(value)}`);
      } else {
        size += key.length + value.length;
        if (isKey) kept.push([key, value]);
      }
    }
    if (field === "annotations" && size > MAX_ANNOTATION_BYTES) {
      this.#refuse([field], `have ${size} characters; at most ${MAX_ANNOTATION_BYTES} are allowed`);
    }
    return kept.length === 0 ? {} : { [field]: Object.fromEntries(kept) };
  }

  lists(): Pick<WrittenMeta, "finalizers" | "ownerReferences"> {
    const finalizers = this.#list("finalizers");
    const owners = this.#list("ownerReferences");
    const names = finalizers.filter(
      (item): item is string => typeof item === "string" && isQualifiedName(item),
    );
    finalizers.forEach((item, index) => {
      if (typeof item !== "string" || !isQualifiedName(item)) {
        this.#refuse(
          ["finalizers", index],
          `expected a name such as "example.com/cleanup", got ${show(item)}`,
        );
      }
    });
    owners.forEach((item, index) => {
      if (!isFields(item))
        this.#refuse(["ownerReferences", index], `expected an object, got ${typeName(item)}`);
    });
    return {
      ...(names.length === 0 ? {} : { finalizers: names }),
      ...(owners.length === 0 ? {} : { ownerReferences: owners }),
    };
  }

  text(field: "resourceVersion" | "uid"): Pick<WrittenMeta, "resourceVersion" | "uid"> {
    const value = this.#string(field);
    return value === undefined ? {} : { [field]: value };
  }

  #list(field: string): readonly unknown[] {
    const value = this.#fields[field];
    if (value === undefined || value === null) return [];
    if (Array.isArray(value) && value.length <= 100) return value;
    this.#refuse(
      [field],
      Array.isArray(value) ? "has more than 100 items" : `expected a list, got ${typeName(value)}`,
    );
    return [];
  }

  /** Absent, null and empty are the same, as in Go. */
  #string(field: string): string | undefined {
    const value = this.#fields[field];
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value === "string") return value;
    this.#refuse([field], `expected a string, got ${typeName(value)}`);
    return undefined;
  }

  #refuse(path: readonly (string | number)[], message: string): void {
    this.violations.push({ path: formatPath(["metadata", ...path]), message });
  }
}
