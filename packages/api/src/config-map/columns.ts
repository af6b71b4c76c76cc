import { ageColumn } from "../age.js";
import type { Column } from "../kind.js";
import { isFields } from "../schema/struct.js";

/** DATA AGE, as kubectl shows them. */
export const configMapColumns: readonly Column[] = [
  {
    name: "Data",
    type: "integer",
    description: "How many keys it holds.",
    priority: 0,
    cell: ({ extra }) =>
      [extra?.["data"], extra?.["binaryData"]].reduce<number>(
        (sum, map) => sum + (isFields(map) ? Object.keys(map).length : 0),
        0,
      ),
  },
  ageColumn,
];
