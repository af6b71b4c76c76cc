import stringWidth from "string-width";

export interface TableColumn<Row> {
  readonly header: string;
  readonly cell: (row: Row) => string | number;
  /** Default: left, or right when every cell is a number. */
  readonly align?: "left" | "right";
}

const GAP = 3;

/** Rows as a table for a terminal: columns as wide as their widest cell, three spaces apart, no trailing spaces. */
export function renderTable<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const right = columns.map(
    ({ align }, i) =>
      align === "right" ||
      (align === undefined && rows.length > 0 && cells.every((line) => typeof line[i] === "number")),
  );
  const lines = [
    columns.map((column) => column.header),
    ...cells.map((line) => line.map((cell) => clean(String(cell)))),
  ];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => stringWidth(line[i] ?? ""))));
  return lines
    .map((line) =>
      line
        .map((cell, i) => pad(cell, widths[i] ?? 0, right[i] ?? false))
        .join(" ".repeat(GAP))
        .trimEnd(),
    )
    .join("\n");
}

function pad(cell: string, width: number, right: boolean): string {
  const spaces = " ".repeat(Math.max(0, width - stringWidth(cell)));
  return right ? spaces + cell : cell + spaces;
}

/** What others wrote must not move the cursor. Colour sequences of our own are added after the table is laid out. */
function clean(cell: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return cell.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}
