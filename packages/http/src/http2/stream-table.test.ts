import fc from "fast-check";
import { expect, test } from "vitest";

import { StreamTable } from "./stream-table.js";

test("whatever is added and deleted, the table holds what a map would", () => {
  const step = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 3000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const table = new StreamTable<string>();
      const map = new Map<number, string>();
      for (const [adds, number] of steps) {
        const id = 2 * number + 1;
        if (adds && !map.has(id)) {
          table.add(id, `stream ${id}`);
          map.set(id, `stream ${id}`);
        } else if (!adds) {
          table.delete(id);
          map.delete(id);
        }
        expect(table.get(id)).toBe(map.get(id));
      }
      expect(table.size).toBe(map.size);
      for (const [id, stream] of map) expect(table.get(id)).toBe(stream);
      expect(table.all().toSorted()).toEqual([...map.values()].toSorted());
    }),
  );
});

test("an old stream and many young ones share a table", () => {
  const table = new StreamTable<number>();
  table.add(1, 1);
  for (let id = 3; id < 100_000; id += 2) {
    table.add(id, id);
    if (id > 2050) table.delete(id - 2048);
    expect(table.get(id)).toBe(id);
  }
  expect(table.get(1)).toBe(1);
  expect(table.size).toBe(table.all().length);
});

test("the stream that nobody has, id 0, is neither found nor deleted", () => {
  const table = new StreamTable<number>();
  table.add(1, 1);
  table.delete(0);
  expect(table.get(0)).toBeUndefined();
  expect(table.size).toBe(1);
  table.clear();
  expect([table.size, table.get(1), table.all()]).toEqual([0, undefined, []]);
});
