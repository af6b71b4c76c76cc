import { ageOf, findKind, type EventParts, type Kind, type WireObject } from "@tulle/api";
import { LAST_APPLIED, type Client } from "@tulle/client";

import { renderYaml } from "../output/format.js";
import { statePainter } from "../output/listings.js";
import { renderTable } from "../output/table.js";
import { terminalText } from "../output/terminal-text.js";
import { describeParents } from "./describe-parents.js";
import { section } from "./section.js";

export interface DescribeOptions {
  readonly now: number;
  readonly colors: boolean;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface ValidationMessage {
  readonly type: { readonly code: string };
  readonly level: string;
  readonly path?: string;
  readonly message: string;
}

/** All that is known of one object, for people: what it says, how far it has come, what happened to it. */
export async function describeObject(
  client: Client,
  kind: Kind,
  object: WireObject,
  options: DescribeOptions,
): Promise<string> {
  const events = kind.kind === "Event" ? [] : await eventsOf(client, kind, object);
  const sections = [
    describeHead(kind, object, options.now),
    await describeContent(kind, object),
    describeConditions(conditionsOf(object), options.colors),
    describeParents(object, options.colors),
    describeRefusals(object),
    describeAnalysis(object),
    kind.kind === "Event" ? "" : describeEvents(events, options.now),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function describeHead(kind: Kind, { apiVersion, metadata }: WireObject, now: number): string {
  const { [LAST_APPLIED]: _, ...annotations } = metadata.annotations ?? {};
  const created = `${metadata.creationTimestamp} (${ageOf(metadata.creationTimestamp, now)} ago)`;
  const fields: readonly (readonly [string, readonly string[]])[] = [
    ["Name:", [metadata.name]],
    ...(kind.scope === "Cluster" ? [] : [["Namespace:", [metadata.namespace ?? ""]] as const]),
    ["Kind:", [`${kind.kind}, ${apiVersion}`]],
    ["Labels:", pairs(metadata.labels ?? {})],
    ["Annotations:", pairs(annotations)],
    ["Created:", [created]],
    ...(metadata.generation === undefined ? [] : [["Generation:", [String(metadata.generation)]] as const]),
  ];
  const width = Math.max(...fields.map(([label]) => label.length)) + 2;
  return fields
    .flatMap(([label, values]) =>
      values.map((value, at) => `${(at === 0 ? label : "").padEnd(width)}${terminalText(value)}\n`),
    )
    .join("");
}

function pairs(record: Readonly<Record<string, string>>): readonly string[] {
  const lines = Object.entries(record).map(([key, value]) => `${key}=${value}`);
  return lines.length === 0 ? ["<none>"] : lines;
}

async function describeContent(kind: Kind, object: WireObject): Promise<string> {
  if (kind.kind === "Secret" && kind.group === "") return describeSecret(object);
  if (kind.specless !== true) return section("Spec", await renderYaml(object.spec ?? {}));
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...parts } = object;
  return section("Content", await renderYaml(parts));
}

/** Sizes only: whoever looks over the shoulder learns nothing. */
function describeSecret({ type, data }: WireObject): string {
  const entries = typeof data === "object" && data !== null ? Object.entries(data) : [];
  const sizes = entries.map(
    ([key, value]) => `${key}: ${Buffer.from(String(value), "base64").length} bytes\n`,
  );
  return `${section("Type", `${typeof type === "string" ? type : "Opaque"}\n`)}\n${section("Data", sizes.join(""))}`;
}

function conditionsOf({ status }: WireObject): readonly Condition[] {
  if (typeof status !== "object" || status === null || !("conditions" in status)) return [];
  return Array.isArray(status.conditions) ? (status.conditions as readonly Condition[]) : [];
}

function describeConditions(conditions: readonly Condition[], colors: boolean): string {
  if (conditions.length === 0) return "";
  const table = renderTable(
    [
      { header: "TYPE", cell: ({ type }: Condition) => type },
      { header: "STATUS", cell: ({ status }) => status, paint: statePainter(colors) },
      { header: "REASON", cell: ({ reason }) => reason },
      { header: "MESSAGE", cell: ({ message }) => message },
    ],
    conditions,
  );
  return section("Conditions", table);
}

/** Proxies that refused something of the object, in their own words. */
function describeRefusals({ status }: WireObject): string {
  const refusals = listIn(status, "refusals") as readonly Partial<Record<string, string>>[];
  if (refusals.length === 0) return "";
  const lines = refusals.map(({ proxy, resource, message }) =>
    terminalText(`${proxy}: ${resource}: ${message}`),
  );
  return section("Refused by", lines.join("\n"));
}

/** What `tulle analyze` says of the object. */
function describeAnalysis({ status }: WireObject): string {
  const messages = listIn(status, "validationMessages") as readonly ValidationMessage[];
  if (messages.length === 0) return "";
  const table = renderTable(
    [
      { header: "LEVEL", cell: ({ level }: ValidationMessage) => level },
      { header: "CODE", cell: ({ type }) => type.code },
      { header: "FIELD", cell: ({ path }) => path ?? "" },
      { header: "MESSAGE", cell: ({ message }) => message },
    ],
    messages,
  );
  return section("Analysis", table);
}

function listIn(status: unknown, field: string): readonly unknown[] {
  if (typeof status !== "object" || status === null || !Object.hasOwn(status, field)) return [];
  const list = (status as Readonly<Record<string, unknown>>)[field];
  return Array.isArray(list) ? list : [];
}

async function eventsOf(
  client: Client,
  kind: Kind,
  { metadata }: WireObject,
): Promise<readonly WireObject[]> {
  const eventKind = findKind("", "Event");
  if (eventKind === undefined) return [];
  const namespace = metadata.namespace ?? "";
  const { items } = await client.resources.list(eventKind, {
    ...(namespace === "" ? {} : { namespace }),
    fieldSelector: `involvedObject.kind=${kind.kind},involvedObject.name=${metadata.name}`,
  });
  // Events outlive their objects: those of an earlier one of the same name are not this one's.
  return items.filter((event) => {
    const { uid } = partsOf(event).involvedObject ?? {};
    return uid === undefined || uid === "" || uid === metadata.uid;
  });
}

function describeEvents(events: readonly WireObject[], now: number): string {
  if (events.length === 0) return "Events: <none>\n";
  const table = renderTable(
    [
      { header: "TYPE", cell: (event: WireObject) => partsOf(event).type ?? "" },
      { header: "REASON", cell: (event) => partsOf(event).reason ?? "" },
      { header: "AGE", cell: (event) => ageOf(lastSeen(event), now) },
      {
        header: "FROM",
        cell: (event) => partsOf(event).source?.component ?? partsOf(event).reportingComponent ?? "",
      },
      { header: "MESSAGE", cell: (event) => partsOf(event).message?.trim() ?? "" },
    ],
    events.toSorted((a, b) => Date.parse(lastSeen(a)) - Date.parse(lastSeen(b))),
  );
  return section("Events", table);
}

function lastSeen(event: WireObject): string {
  const { series, lastTimestamp, firstTimestamp, eventTime } = partsOf(event);
  const seen = series?.lastObservedTime ?? lastTimestamp ?? firstTimestamp ?? eventTime;
  return seen ?? event.metadata.creationTimestamp;
}

function partsOf(event: WireObject): Partial<EventParts> {
  return event as Partial<EventParts>;
}
