import type { z } from "zod";
import { int32 } from "../schema/numbers.js";
import { stringThat, text } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import type { EventParts } from "./type.js";

const time = stringThat(
  (value) => /^\d{4}-\d\d-\d\d[Tt ]/.test(value) && !Number.isNaN(Date.parse(value)),
  "a time such as 2026-01-31T12:00:00Z",
);

const reference = struct({
  apiVersion: text.exactOptional(),
  kind: text.exactOptional(),
  namespace: text.exactOptional(),
  name: text.exactOptional(),
  uid: text.exactOptional(),
  resourceVersion: text.exactOptional(),
  fieldPath: text.exactOptional(),
});

/** An Event's fields beside its metadata. */
export const eventParts: z.ZodType<EventParts> = struct({
  involvedObject: reference,
  reason: text.exactOptional(),
  message: text.exactOptional(),
  type: text.exactOptional(),
  count: int32.exactOptional(),
  firstTimestamp: time.exactOptional(),
  lastTimestamp: time.exactOptional(),
  eventTime: time.exactOptional(),
  action: text.exactOptional(),
  source: struct({ component: text.exactOptional(), host: text.exactOptional() }).exactOptional(),
  related: reference.exactOptional(),
  reportingComponent: text.exactOptional(),
  reportingInstance: text.exactOptional(),
  series: struct({ count: int32.exactOptional(), lastObservedTime: time.exactOptional() }).exactOptional(),
});
