import pc from "picocolors";

import type { ListedRow, Listing, ListingColumn } from "../resources/listing.js";
import { renderTable, type TableColumn } from "./table.js";

export interface ListingStyle {
  /** All columns. */
  readonly wide: boolean;
  readonly allNamespaces: boolean;
  /** Names with their kind, because several kinds are shown. */
  readonly qualified: boolean;
  readonly colors: boolean;
}

/** A listing as a table. */
export function renderListing(listing: Listing, style: ListingStyle): string {
  return `${renderTable(tableColumns(listing, style), listing.rows)}\n`;
}

/** The columns of a listing's table. */
export function tableColumns(
  { namespaced, columns }: Pick<Listing, "namespaced" | "columns">,
  { wide, allNamespaces, qualified, colors }: ListingStyle,
): readonly TableColumn<ListedRow>[] {
  const shown = columns.map((column, at) => ({ column, at })).filter(({ column }) => wide || !column.wide);
  return [
    ...(allNamespaces && namespaced
      ? [{ header: "NAMESPACE", cell: ({ namespace }: ListedRow) => namespace }]
      : []),
    { header: "NAME", cell: ({ resource, name }: ListedRow) => (qualified ? resource : name) },
    ...shown.map(({ column, at }) => ({
      header: column.header,
      cell: ({ cells }: ListedRow) => cells[at] ?? "",
      ...paintOf(column, colors),
    })),
  ];
}

function paintOf({ paint }: ListingColumn, colors: boolean): Pick<TableColumn<ListedRow>, "paint"> {
  return paint === undefined ? {} : { paint: statePainter(colors) };
}

/** Colours the words for states: good ones green, passing ones yellow, bad ones red. */
export function statePainter(colors: boolean): (text: string) => string {
  const { green, yellow, red } = pc.createColors(colors);
  const byWord: ReadonlyMap<string, (text: string) => string> = new Map([
    ["synced", green],
    ["passing", green],
    ["True", green],
    ["stale", yellow],
    ["warning", yellow],
    ["maintenance", yellow],
    ["Unknown", yellow],
    ["NACK", red],
    ["critical", red],
    ["False", red],
  ]);
  return (text) => byWord.get(text)?.(text) ?? text;
}
