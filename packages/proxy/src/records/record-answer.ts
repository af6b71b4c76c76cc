import type { DecisionRecord } from "./contract.js";
import type { FoundRecord } from "./decision-records.js";

/** A record, with what its decisions come to when they are made again. Plain data. */
export interface RecordAnswer {
  readonly record: DecisionRecord;
}

export function answerOf({ record }: FoundRecord): RecordAnswer {
  return { record };
}
