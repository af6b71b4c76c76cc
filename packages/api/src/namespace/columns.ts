import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";

/** STATUS AGE. Deleting a namespace deletes its objects at once, so one that is there is active. */
export const namespaceColumns: readonly Column[] = [
  textColumn("Status", "The status of the namespace.", () => "Active"),
  ageColumn,
];
