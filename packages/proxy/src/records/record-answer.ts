import { explain, type Explanation, type LoadTable, type Question, type Snapshot } from "@tulle/engine";

import type { DecisionRecord } from "./contract.js";
import type { FoundRecord } from "./decision-records.js";
import { recordedFacts } from "./recorded-facts.js";

/** A record, with what its decisions come to when they are made again. Plain data. */
export interface RecordAnswer {
  readonly record: DecisionRecord;
  /** Absent when nothing was decided, or when what decided did not fit into the record. */
  readonly explanation?: Explanation;
  /** Which configuration explains it: that of then, or that of now, where the former is held no more. */
  readonly explainedWith?: "then" | "now";
}

/** What decisions are made again with. */
export interface Present {
  readonly snapshot: Snapshot;
  /** The load of now, too: that of then is not kept. */
  readonly load: LoadTable;
  /** Monotonic. */
  readonly now: number;
}

/** Decides the first try of a recorded request again. */
export function explainRecord({ record, snapshot }: FoundRecord, present: Present): RecordAnswer {
  const { entropy } = record;
  if (record.snapshot === 0 || isCut(record.request.authority) || isCut(record.serverName)) return { record };
  const explanation = explain(
    { ...present, snapshot: snapshot ?? present.snapshot, entropy, known: recordedFacts(record) },
    questionOf(record),
  );
  return { record, explanation, explainedWith: snapshot === undefined ? "now" : "then" };
}

function questionOf(record: DecisionRecord): Question {
  const { direction, request, requestId, principal, serverName, local, remote } = record;
  const { method, authority, path, scheme, headers } = request;
  return {
    direction,
    request: { method, authority, path, scheme, headers: [...headers] },
    requestId,
    remoteAddress: remote,
    localAddress: local,
    ...(principal === "" ? {} : { principal }),
    ...(serverName === "" ? {} : { serverName }),
  };
}

function isCut(text: string): boolean {
  return text.endsWith("...");
}
