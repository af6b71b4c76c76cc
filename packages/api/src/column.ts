import type { Column, MeshObject } from "./kind.js";

/** A column that shows a string of the object; nothing is shown as an empty cell. */
export function textColumn<Spec>(
  name: string,
  description: string,
  cell: (object: MeshObject<Spec>) => string | undefined,
): Column {
  // The kind's own columns see only objects that its check accepted.
  return {
    name,
    type: "string",
    description,
    priority: 0,
    cell: (object) => cell(object as MeshObject<Spec>) ?? "",
  };
}

/** A list in a cell, as kubectl shows JSON paths that give lists: `["a","b"]`. */
export function listCell(list: readonly string[] | undefined): string | undefined {
  return list === undefined ? undefined : JSON.stringify(list);
}
