import { expect, test } from "vitest";
import { Closed, ClosedStreams } from "./closed-streams.js";

test("ClosedStreams knows the last 1,024 streams, whatever the order of their ends is, and no older one", () => {
  const closed = new ClosedStreams();
  expect(closed.reasonOf(1)).toBe(Closed.UNKNOWN);
  closed.add(5, Closed.BY_US);
  closed.add(1, Closed.ENDED);
  closed.add(9, Closed.BY_PEER);
  expect([1, 3, 5, 7, 9, 11].map((id) => closed.reasonOf(id))).toEqual([
    Closed.ENDED,
    Closed.UNKNOWN,
    Closed.BY_US,
    Closed.UNKNOWN,
    Closed.BY_PEER,
    Closed.UNKNOWN,
  ]);
  closed.add(2048 + 5, Closed.ENDED);
  expect(closed.reasonOf(5)).toBe(Closed.UNKNOWN);
  expect(closed.reasonOf(9)).toBe(Closed.BY_PEER);
  closed.add(3, Closed.BY_US);
  expect(closed.reasonOf(3)).toBe(Closed.UNKNOWN);
  expect(closed.reasonOf(2048 + 3)).toBe(Closed.UNKNOWN);
  closed.add(0x7ffffffd, Closed.BY_US);
  expect(closed.reasonOf(9)).toBe(Closed.UNKNOWN);
  expect(closed.reasonOf(0x7ffffffd)).toBe(Closed.BY_US);
});
