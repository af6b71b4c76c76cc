import type { z } from "zod";
import { atMostOne, exactlyOne, struct } from "./struct.js";
import { nonEmpty, stringThat, text } from "./strings.js";

/**
 * How a string is compared: exactly one of the three. Where a key is looked up (headers, query parameters) an empty
 * match `{}` asks for presence.
 */
export type StringMatch =
  | { readonly exact: string; readonly prefix?: never; readonly regex?: never }
  | { readonly prefix: string; readonly exact?: never; readonly regex?: never }
  /** RE2 syntax, at most 1024 characters; matches the whole string. */
  | { readonly regex: string; readonly exact?: never; readonly prefix?: never }
  | { readonly exact?: never; readonly prefix?: never; readonly regex?: never };

/** Longest regular expression, in characters. */
export const MAX_REGEX = 1024;

/** Syntax is checked where it is compiled. */
export const regex = stringThat(
  (value) => value.length > 0 && value.length <= MAX_REGEX,
  `1 to ${MAX_REGEX} characters`,
);

const shape = {
  exact: text.exactOptional(),
  prefix: nonEmpty.exactOptional(),
  regex: regex.exactOptional(),
};

/** A comparison of something that is always there. */
export const stringMatch = struct(
  shape,
  exactlyOne("exact", "prefix", "regex"),
) as unknown as z.ZodType<StringMatch>;

/** A comparison of something that may be absent: `{}` = is present. */
export const presenceMatch = struct(
  shape,
  atMostOne("exact", "prefix", "regex"),
) as unknown as z.ZodType<StringMatch>;
