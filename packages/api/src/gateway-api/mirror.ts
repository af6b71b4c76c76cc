import type { z } from "zod";
import { int32, integer, wholePercent } from "../schema/numbers.js";
import { atMostOne, struct, type Rule } from "../schema/struct.js";
import { backendObjectRef } from "./backend-refs.js";

const notAboveOne: Rule = ({ numerator, denominator = 100 }, report) => {
  if (typeof numerator === "number" && typeof denominator === "number" && numerator > denominator) {
    report(["numerator"], "cannot be greater than the denominator");
  }
};

const fraction: z.ZodType<{ numerator: number; denominator?: number }> = struct(
  { numerator: int32, denominator: integer(1, 2_147_483_647).exactOptional() },
  notAboveOne,
);

export const requestMirror = struct(
  {
    backendRef: backendObjectRef,
    percent: wholePercent.exactOptional(),
    fraction: fraction.exactOptional(),
  },
  atMostOne("percent", "fraction"),
);
