import { describe, expect, test } from "vitest";
import type { RequestHead } from "./contract.js";
import { createRequestParser } from "./request-parser.js";
import { Recorder, deliveries, feed } from "./testing/record-events.js";
import { get, REFUSED } from "./testing/refused-requests.js";

describe.each(Object.entries(REFUSED))("createRequestParser refuses %s", (_name, cases) => {
  test.each(cases.map(([bytes, status]) => [JSON.stringify(bytes).slice(0, 90), bytes, status] as const))(
    "%s",
    (_label, text, status) => {
      const bytes = Buffer.from(text, "latin1");
      for (const [delivery, cuts] of deliveries(bytes)) {
        const recorder = new Recorder<RequestHead>();
        const parser = createRequestParser(recorder);
        feed(parser, bytes, cuts);
        expect(parser.error?.status, delivery).toBe(status);
        expect(
          recorder.events.filter((event) => event.type === "end"),
          delivery,
        ).toEqual([]);
        expect(parser.idle, delivery).toBe(false);
        expect(parser.execute(Buffer.from(get("")), 0, 5), delivery).toBe(0);
      }
    },
  );
});
