import type { Checked, Kind } from "../kind.js";
import { checkParts } from "../schema/parts.js";
import { eventColumns } from "./columns.js";
import { eventParts } from "./schema.js";
import type { EventSpec } from "./type.js";

export const eventKind: Kind<EventSpec> = {
  group: "",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  scope: "Namespaced",
  columns: eventColumns,
  check: checkEvent,
  specless: true,
};

/** Go's clients send the times and parts that they have not as null. */
const NULLABLE = ["firstTimestamp", "lastTimestamp", "eventTime", "series", "related", "source"];

function checkEvent(raw: Readonly<Record<string, unknown>>): Checked<EventSpec> {
  const checked = checkParts(eventParts, raw, { nullable: NULLABLE });
  if (!checked.ok) return checked;
  return { ok: true, spec: {}, extra: { ...checked.parts }, warnings: [] };
}
