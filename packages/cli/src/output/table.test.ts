import { expect, test } from "vitest";

import { renderTable } from "./table.js";

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
