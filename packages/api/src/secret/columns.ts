import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import { isFields } from "../schema/struct.js";

/** TYPE DATA AGE, as kubectl shows them. */
export const secretColumns: readonly Column[] = [
  textColumn("Type", "What the secret is for.", ({ extra }) =>
    typeof extra?.["type"] === "string" ? extra["type"] : undefined,
  ),
  {
    name: "Data",
    type: "integer",
    description: "How many keys it holds.",
    priority: 0,
    cell: ({ extra }) => (isFields(extra?.["data"]) ? Object.keys(extra["data"]).length : 0),
  },
  ageColumn,
];
