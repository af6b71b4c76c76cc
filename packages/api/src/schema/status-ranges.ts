import { z } from "zod";
import { integer } from "./numbers.js";
import { stringThat } from "./strings.js";

/** Whether `value` is `200` or `200-299`. */
export function isStatusRange(value: string): boolean {
  const [, first = "", last = first] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(value) ?? [];
  return first !== "" && Number(first) <= Number(last);
}

const STATUSES = 'a status such as 200, or a range such as "200-299"';

/** A status, as a number or a text, or a range of them. */
export const statusOrRange = z.union(
  [integer(100, 599, "an HTTP status"), stringThat(isStatusRange, STATUSES)],
  { error: `expected ${STATUSES}` },
);
