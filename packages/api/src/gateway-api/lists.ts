import { z } from "zod";
import { structsOf, type Rule } from "../schema/struct.js";

/** A list of at most `max` items. */
export function atMost<Item>(max: number, item: z.ZodType<Item>): z.ZodType<Item[]> {
  const error = `must have at most ${max === 1 ? "one item" : `${max} items`}`;
  return z.array(item).refine((list) => list.length <= max, { error });
}

/** A list of 1 to `max` items. */
export function oneTo<Item>(max: number, item: z.ZodType<Item>): z.ZodType<Item[]> {
  return atMost(max, item).refine((list) => list.length > 0, { error: "must have at least one item" });
}

/** A list whose items come once. */
export function distinct(list: z.ZodType<string[]>): z.ZodType<string[]> {
  return list.superRefine((items: unknown, context) => {
    if (!Array.isArray(items)) return;
    items.forEach((item, index) => {
      if (items.indexOf(item) < index)
        context.addIssue({ code: "custom", path: [index], message: `repeats ${JSON.stringify(item)}` });
    });
  });
}

const MAX_MATCHES = 128;

/** All rules of a route together do not match in more than 128 ways. */
export const boundedMatches: Rule = (fields, report) => {
  const total = structsOf(fields["rules"])
    .map(([, rule]) => (Array.isArray(rule["matches"]) ? rule["matches"].length : 1))
    .reduce((sum, count) => sum + count, 0);
  if (total > MAX_MATCHES) {
    report(["rules"], `have ${total} matches together; at most ${MAX_MATCHES} are allowed`);
  }
};
