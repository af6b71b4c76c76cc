import { ageOf } from "../age.js";
import { textColumn } from "../column.js";
import type { Column, MeshObject } from "../kind.js";
import type { EventParts } from "./type.js";

/** LAST SEEN, TYPE, REASON, OBJECT, MESSAGE, as kubectl shows them. */
export const eventColumns: readonly Column[] = [
  {
    name: "Last Seen",
    type: "string",
    description: "Time since it was last seen.",
    priority: 0,
    cell: (object, now) => ageOf(lastSeen(object), now),
  },
  textColumn("Type", "Normal or Warning.", (object) => parts(object).type),
  textColumn("Reason", "Why it was recorded, in one word.", (object) => parts(object).reason),
  textColumn("Object", "What it is about.", (object) => {
    const { kind = "", name = "" } = parts(object).involvedObject ?? {};
    return `${kind.toLowerCase()}/${name}`;
  }),
  textColumn("Message", "What happened.", (object) => parts(object).message?.trim()),
];

function lastSeen(object: MeshObject): string {
  const { series, lastTimestamp, firstTimestamp, eventTime } = parts(object);
  const seen = series?.lastObservedTime ?? lastTimestamp ?? firstTimestamp ?? eventTime;
  return seen ?? object.metadata.creationTimestamp;
}

function parts(object: MeshObject): Partial<EventParts> {
  // Stored by `check`, which gives these parts.
  return object.extra ?? {};
}
