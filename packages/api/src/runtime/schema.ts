import { z } from "zod";
import { mapOf } from "../schema/labels.js";
import { integer } from "../schema/numbers.js";
import { stringThat } from "../schema/strings.js";
import { isFields, struct, type Rule } from "../schema/struct.js";
import { isRuntimeKey, RUNTIME_DENOMINATORS, type RuntimeSpec, type RuntimeValue } from "./type.js";

const KEY = 'a key such as "reviews.canary": letters, digits, ".", "_" and "-"';
const MAX_KEYS = 1000;

/** The name of a value, for kinds that go by one. */
export const runtimeKey = stringThat(isRuntimeKey, KEY);

const notOverWhole: Rule = ({ numerator, denominator = "HUNDRED" }, report) => {
  const whole = RUNTIME_DENOMINATORS[denominator as keyof typeof RUNTIME_DENOMINATORS];
  if (typeof numerator === "number" && whole !== undefined && numerator > whole)
    report(["numerator"], `must be at most ${whole}`);
};

const fraction = struct(
  {
    numerator: integer(0, 1_000_000, "a whole number"),
    denominator: z.enum(["HUNDRED", "TEN_THOUSAND", "MILLION"]).exactOptional(),
  },
  notOverWhole,
);

const percent = integer(0, 100, "percent: a whole number (or {numerator, denominator})");

/** What is written decides which of the two is meant, so that its own mistakes are told. */
const value: z.ZodType<RuntimeValue> = z.unknown().superRefine((written, context) => {
  const checked = (isFields(written) ? fraction : percent).safeParse(written);
  for (const { path, message } of checked.error?.issues ?? [])
    context.addIssue({ code: "custom", path: [...path], message });
}) as unknown as z.ZodType<RuntimeValue>;

/** Every field of a Runtime. */
export const runtimeSpec: z.ZodType<RuntimeSpec> = struct({
  values: mapOf(value, isRuntimeKey, KEY).refine(
    (values) => Object.keys(values).length <= MAX_KEYS,
    `must have at most ${MAX_KEYS} keys`,
  ),
});
