import stringWidth from "string-width";

import { terminalText } from "./terminal-text.js";

export interface TableColumn<Row> {
  readonly header: string;
  readonly cell: (row: Row) => string | number;
  /** Default: left, or right when every cell is a number. */
  readonly align?: "left" | "right";
  /** Colours a cell once the table is laid out. Default: as it is. */
  readonly paint?: (text: string, row: Row) => string;
}

const GAP = 3;

/** Rows as a table for a terminal: columns as wide as their widest cell, three spaces apart, no trailing spaces. */
export function renderTable<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string {
  return new GrowingTable(columns).render(rows).join("\n");
}

/**
 * A table whose rows come over time: the header comes with the first ones, columns never get narrower. Lines that are
 * out already stay as they are.
 */
export class GrowingTable<Row> {
  readonly #columns: readonly TableColumn<Row>[];
  #widths: readonly number[] = [];
  #right: readonly boolean[] | undefined;

  constructor(columns: readonly TableColumn<Row>[]) {
    this.#columns = columns;
  }

  /** The lines of these rows, the header before the first ones. */
  render(rows: readonly Row[]): readonly string[] {
    const columns = this.#columns;
    const cells = rows.map((row) => columns.map((column) => column.cell(row)));
    const first = this.#right === undefined;
    this.#right ??= columns.map(
      ({ align }, i) =>
        align === "right" ||
        (align === undefined && rows.length > 0 && cells.every((line) => typeof line[i] === "number")),
    );
    const right = this.#right;
    const texts = cells.map((line) => line.map((cell) => terminalText(String(cell))));
    const header = columns.map((column) => column.header);
    const measured = first ? [header, ...texts] : texts;
    this.#widths = columns.map((_, i) =>
      Math.max(this.#widths[i] ?? 0, ...measured.map((line) => stringWidth(line[i] ?? ""))),
    );
    const line = (parts: readonly string[], painted: readonly string[]): string =>
      parts
        .map((text, i) => pad(text, painted[i] ?? text, this.#widths[i] ?? 0, right[i] ?? false))
        .join(" ".repeat(GAP))
        .trimEnd();
    const lines = rows.map((row, r) => {
      const parts = texts[r] ?? [];
      return line(
        parts,
        parts.map((text, i) => columns[i]?.paint?.(text, row) ?? text),
      );
    });
    return first ? [line(header, header), ...lines] : lines;
  }
}

/** `painted` is `text` with colours, which take no room. */
function pad(text: string, painted: string, width: number, right: boolean): string {
  const spaces = " ".repeat(Math.max(0, width - stringWidth(text)));
  return right ? spaces + painted : painted + spaces;
}
