import { z } from "zod";
import { typeName } from "./describe.js";

/** A whole number from `minimum` to `maximum`; `what` names it in messages. */
export function integer(minimum: number, maximum: number, what = "a whole number"): z.ZodType<number> {
  return numberThat(
    (value) => Number.isInteger(value) && value >= minimum && value <= maximum,
    `${what} from ${minimum} to ${maximum}`,
  );
}

/** A number, fractions allowed, from `minimum` to `maximum`. */
export function decimal(minimum: number, maximum: number, what = "a number"): z.ZodType<number> {
  const range = Number.isFinite(maximum)
    ? `${what} from ${minimum} to ${maximum}`
    : `${what} of at least ${minimum}`;
  return numberThat((value) => value >= minimum && value <= maximum, range);
}

function numberThat(holds: (value: number) => boolean, expected: string): z.ZodType<number> {
  const error = (issue: { readonly input?: unknown }) =>
    issue.input === undefined
      ? `is required: expected ${expected}`
      : `expected ${expected}, got ${typeof issue.input === "number" ? issue.input : typeName(issue.input)}`;
  return z.number({ error }).refine(holds, { error });
}

export const port = integer(1, 65_535, "a port number");
export const weight = integer(0, 1_000_000, "a weight");
export const percent = decimal(0, 100, "a percentage");
export const wholePercent = integer(0, 100, "a percentage");
/** Counts and limits: what protobuf's int32 and uint32 fields take, without the negative ones. */
export const int32 = integer(0, 2_147_483_647);
export const uint32 = integer(0, 4_294_967_295);
export const statusCode = integer(200, 599, "an HTTP status code");
