/** What `tulle get` shows of one kind: rows for a table, and the same as data. */
export interface Listing {
  /** `virtualservices`. */
  readonly plural: string;
  /** Rows are in a namespace: a list over all of them shows which. */
  readonly namespaced: boolean;
  /** Columns beside NAME. */
  readonly columns: readonly ListingColumn[];
  readonly rows: readonly ListedRow[];
  /** What to tell about names that were asked for and are not there. */
  readonly missing: readonly string[];
  /** What else to tell. Default: nothing. */
  readonly warnings?: readonly string[];
}

export interface ListingColumn {
  readonly header: string;
  /** Shown with `-o wide` only. */
  readonly wide: boolean;
  /** Colours a cell by its text. */
  readonly paint?: "state";
}

export interface ListedRow {
  readonly name: string;
  /** Kind and name: `virtualservice.networking.istio.io/reviews`. */
  readonly resource: string;
  /** Empty for what is in none. */
  readonly namespace: string;
  /** One for each column of the listing. */
  readonly cells: readonly (string | number)[];
  /** For JSON and YAML. */
  readonly data: unknown;
}

export interface ListingQuery {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Empty: all. */
  readonly names: readonly string[];
  readonly labelSelector?: string;
  /** Wall clock, milliseconds: ages are until then. */
  readonly now: number;
}
