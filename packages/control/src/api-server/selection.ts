import type { MeshObject } from "@tulle/api";
import { MeshError } from "@tulle/base";

import type { ListSelector } from "../stores/resource-store.js";
import type { ResourcePath } from "./resource-path.js";
import { parseFieldSelector, parseLabelSelector, type FieldRequirement } from "./selectors.js";

/** Which objects a list or a watch is about. */
export interface Selection {
  readonly selector: ListSelector;
  readonly matches: (object: MeshObject) => boolean;
  /** No label or field selector was given. */
  readonly matchesAll: boolean;
  /** Where `?continue=` goes on; throws `exhausted` API_CONTINUE_GONE when the list changed since. */
  readonly offset: (revision: number) => number;
  readonly continueFrom: (offset: number, revision: number) => string;
}

/** Reads `labelSelector`, `fieldSelector` and `continue`. */
export function readSelection(path: ResourcePath, query: Readonly<Record<string, string>>): Selection {
  const labels = parseLabelSelector(query["labelSelector"] ?? "");
  const fields = parseFieldSelector(query["fieldSelector"] ?? "");
  for (const field of fields) requireSupported(field);
  const { kind, namespace } = path;
  return {
    selector: { group: kind.group, kind: kind.kind, ...(namespace === undefined ? {} : { namespace }) },
    matchesAll: (query["labelSelector"] ?? "") === "" && fields.length === 0,
    matches: (object) =>
      labels(object.metadata.labels ?? {}) &&
      fields.every(({ path: at, value, negated }) => (fieldOf(object, at) === value) !== negated),
    offset: (revision) => readContinue(query["continue"] ?? "", revision),
    continueFrom: (offset, revision) => Buffer.from(`${revision}:${offset}`).toString("base64url"),
  };
}

function readContinue(token: string, revision: number): number {
  if (token === "") return 0;
  const match = /^(\d{1,15}):(\d{1,15})$/.exec(Buffer.from(token, "base64url").toString("latin1"));
  if (match === null) throw new MeshError("invalid", "API_CONTINUE", "the continue token is not one of ours");
  if (Number(match[1]) !== revision) {
    throw new MeshError(
      "exhausted",
      "API_CONTINUE_GONE",
      "the list has changed since: start it again without continue",
    );
  }
  return Number(match[2]);
}

function requireSupported({ path }: FieldRequirement): void {
  if (/^(metadata\.(name|namespace)|involvedObject\.\w+|reason|type|source)$/.test(path)) return;
  throw new MeshError(
    "invalid",
    "API_FIELD_SELECTOR",
    `field label not supported: ${path}; metadata.name and metadata.namespace are (and an event's involvedObject.*, reason, type)`,
  );
}

function fieldOf(object: MeshObject, path: string): string {
  const [first, second = ""] = path.split(".");
  if (first === "metadata") return second === "name" ? object.metadata.name : object.metadata.namespace;
  const member: unknown = object.extra?.[first ?? ""];
  const value: unknown = second === "" ? member : own(member, second);
  return typeof value === "string" ? value : "";
}

function own(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
