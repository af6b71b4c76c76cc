import { z } from "zod";
import { show } from "../schema/describe.js";
import type { KumaPercentage } from "./type.js";

const TEXT = /^\d{1,3}(?:\.\d{1,6})?$/;

/** A whole number, or a decimal one as text, from 0 to 100. */
export const percentage = z.union([z.number(), z.string()], { error: refusal }).refine(isPercentage, {
  error: refusal,
}) as z.ZodType<KumaPercentage>;

/** The number that a percentage is. */
export function percentOf(percentage: KumaPercentage): number {
  return Number(percentage);
}

function isPercentage(value: KumaPercentage): boolean {
  const isWritten = typeof value === "number" ? Number.isInteger(value) : TEXT.test(value);
  return isWritten && Number(value) >= 0 && Number(value) <= 100;
}

function refusal({ input }: { readonly input?: unknown }): string {
  const expected = 'expected a percentage from 0 to 100: a whole number, or text such as "12.5"';
  return input === undefined ? `is required: ${expected}` : `${expected}, got ${show(input)}`;
}
