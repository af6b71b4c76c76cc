import { expect, test } from "vitest";

import { GrowingTable, renderTable } from "./table.js";

test("renderTable lines columns up by what a terminal shows", () => {
  const rows = [
    { name: "reviews", count: 2 },
    { name: "日本", count: 100 },
  ];
  const text = renderTable(
    [
      { header: "NAME", cell: (row: (typeof rows)[0]) => row.name },
      { header: "COUNT", cell: (row) => row.count },
    ],
    rows,
  );
  expect(text).toBe(["NAME      COUNT", "reviews       2", "日本        100"].join("\n"));
});

test("renderTable shows the header when there are no rows, and lets no cell move the cursor", () => {
  expect(renderTable([{ header: "A", cell: () => "" }], [])).toBe("A");
  expect(renderTable([{ header: "A", cell: (text: string) => text }], ["x\u001b[2Jy\n"])).toBe("A\nx [2Jy");
});

test("renderTable lays out before it colours, and colours no header", () => {
  const text = renderTable(
    [
      { header: "STATE", cell: (row: string) => row, paint: (cell) => `<${cell}>` },
      { header: "B", cell: () => "b" },
    ],
    ["ok", "broken"],
  );
  expect(text).toBe(["STATE    B", "<ok>       b", "<broken>   b"].join("\n"));
});

test("GrowingTable gives the header once and never makes a column narrower", () => {
  const table = new GrowingTable([
    { header: "NAME", cell: (row: string) => row },
    { header: "B", cell: () => "b" },
  ]);
  expect(table.render(["reviews"])).toEqual(["NAME      B", "reviews   b"]);
  expect(table.render(["a", "longer-name"])).toEqual(["a             b", "longer-name   b"]);
  expect(table.render(["c"])).toEqual(["c             b"]);
});
