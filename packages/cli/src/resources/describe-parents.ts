import type { WireObject } from "@tulle/api";

import { statePainter } from "../output/listings.js";
import { renderTable } from "../output/table.js";
import { section } from "./section.js";

interface Row {
  readonly parent: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** How a route of Gateway API stands to each of its parents; empty for what has none. */
export function describeParents({ status }: WireObject, colors: boolean): string {
  const rows = rowsOf(status);
  if (rows.length === 0) return "";
  const table = renderTable(
    [
      { header: "PARENT", cell: ({ parent }: Row) => parent },
      { header: "TYPE", cell: ({ type }) => type },
      { header: "STATUS", cell: ({ status: value }) => value, paint: statePainter(colors) },
      { header: "REASON", cell: ({ reason }) => reason },
      { header: "MESSAGE", cell: ({ message }) => message },
    ],
    rows,
  );
  return section("Parents", table);
}

function rowsOf(status: unknown): readonly Row[] {
  return fieldsIn(status, "parents").flatMap((parent) =>
    fieldsIn(parent, "conditions").map((condition) => ({
      parent: nameOf(parent["parentRef"]),
      type: text(condition["type"]),
      status: text(condition["status"]),
      reason: text(condition["reason"]),
      message: text(condition["message"]),
    })),
  );
}

/** `Service other/reviews:9080` */
function nameOf(reference: unknown): string {
  if (!isFields(reference)) return "";
  const { kind, namespace, name, port, sectionName } = reference;
  const place = namespace === undefined ? "" : `${text(namespace)}/`;
  const part = port ?? sectionName;
  return `${text(kind)} ${place}${text(name)}${part === undefined ? "" : `:${text(part)}`}`;
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fieldsIn(value: unknown, name: string): readonly Fields[] {
  const list = isFields(value) ? value[name] : undefined;
  return Array.isArray(list) ? list.filter(isFields) : [];
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
