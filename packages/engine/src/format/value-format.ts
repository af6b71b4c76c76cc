import { splitFormat, unknownOperator } from "@tulle/base";
import { invalid } from "../snapshot/invalid.js";
import type { FormatSource, Reader } from "./format-source.js";
import { operatorReader } from "./operators.js";

/** Makes a header's value of an exchange; "" = there is none. */
export type ValueFormat = (source: FormatSource) => string;

/** Compiles a value with command operators; undefined when it is nothing but text. */
export function compileValueFormat(field: string, value: string): ValueFormat | undefined {
  const unknown = unknownOperator(value);
  if (unknown !== undefined) {
    throw invalid(
      field,
      `${JSON.stringify(value)}: the command operator ${unknown} is not known; write %% for a percent sign`,
    );
  }
  const pieces = splitFormat(value);
  if (pieces.every((piece) => typeof piece === "string")) return undefined;
  const readers = pieces.map((piece): Reader => {
    if (typeof piece === "string") {
      const text = piece.replaceAll("%%", "%");
      return () => text;
    }
    const read = operatorReader(piece.name, piece.argument ?? "") ?? (() => "");
    const { length } = piece;
    return length === undefined ? read : (source) => read(source).slice(0, length);
  });
  return (source) => {
    let made = "";
    for (const read of readers) made += read(source);
    return fit(made);
  };
}

// eslint-disable-next-line no-control-regex -- exactly these must not get onto the wire
const UNFIT = /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/g;

/** Texts of errors may hold anything; in a header only what HTTP allows (RFC 9110 section 5.5). */
function fit(value: string): string {
  UNFIT.lastIndex = 0;
  return UNFIT.test(value) ? value.replaceAll(UNFIT, "_") : value;
}
