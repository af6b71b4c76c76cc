import { TimerWheel } from "@tulle/base";
import { AdmissionProgress } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { FaultyResponse } from "./faulty-response.js";

function faulty(limits: Partial<AdmissionProgress>, writable = () => true) {
  const clock = new FakeClock();
  const events: string[] = [];
  let written = 0;
  const response = new FaultyResponse(clock, new TimerWheel(clock, 10), {
    writeFaulty: (_chunk, start, end) => {
      written += end - start;
      return writable();
    },
    onFaultyEnd: (trailers) => void events.push(`end ${trailers.join()}`),
    onFaultyReset: () => void events.push("reset"),
    resumeFaulty: () => void events.push("resume"),
  });
  response.start(Object.assign(new AdmissionProgress(), limits));
  return { clock, events, response, written: () => written };
}

const bytes = (count: number): [Buffer, number, number] => [Buffer.alloc(count), 0, count];

test("a body comes at the speed that is allowed, its server waits, and the end comes last", async () => {
  const { clock, events, response, written } = faulty({ responseBytesPerSecond: 1000 });
  expect(response.write(...bytes(500))).toBe(false);
  expect(written()).toBe(50);
  await clock.advance(200);
  expect(written()).toBeGreaterThan(100);
  expect(written()).toBeLessThanOrEqual(250);
  response.end(["grpc-status", "0"]);
  expect(events).toEqual([]);
  await clock.advance(600);
  expect(written()).toBe(500);
  expect(events).toEqual(["end grpc-status,0"]);
  expect(response.active).toBe(false);
});

test("a server goes on when what it sent has gone", async () => {
  const { clock, events, response, written } = faulty({ responseBytesPerSecond: 1000 });
  response.write(...bytes(60));
  await clock.advance(200);
  expect(written()).toBe(60);
  expect(events).toEqual(["resume"]);
});

test("a connection is reset after its bytes, which come first", async () => {
  const { clock, events, response, written } = faulty({ resetAfterBytes: 100 });
  expect(response.write(...bytes(60))).toBe(true);
  expect(response.write(...bytes(60))).toBe(false);
  expect(written()).toBe(100);
  expect(events).toEqual([]);
  await clock.advance(200);
  expect(events).toEqual(["reset"]);
});

test("a body that ends before is whole", async () => {
  const { clock, events, response } = faulty({ resetAfterBytes: 100 });
  response.write(...bytes(60));
  response.end([]);
  await clock.advance(1000);
  expect(events).toEqual(["end "]);
});

test("a client that does not read holds everything up, and nothing comes after the end", async () => {
  let open = false;
  const { clock, events, response, written } = faulty({ responseBytesPerSecond: 1000 }, () => open);
  response.write(...bytes(100));
  const before = written();
  await clock.advance(1000);
  expect(written()).toBe(before);
  open = true;
  response.onDrain();
  await clock.advance(1000);
  expect(written()).toBe(100);
  response.stop();
  await clock.advance(1000);
  expect(events.filter((event) => event !== "resume")).toEqual([]);
});
