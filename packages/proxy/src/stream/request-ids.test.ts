import { randomFillSync } from "node:crypto";

import { expect, test } from "vitest";

import { createRequestIds } from "./request-ids.js";

test("ids are version 4 UUIDs, each another one", () => {
  const newId = createRequestIds(randomFillSync);
  const ids = Array.from({ length: 1000 }, newId);
  for (const id of ids)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every bit but version and variant comes from the given randomness", () => {
  const ones = createRequestIds((bytes) => bytes.fill(0xff))();
  const zeros = createRequestIds((bytes) => bytes.fill(0))();
  expect(ones).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
  expect(zeros).toBe("00000000-0000-4000-8000-000000000000");
});
