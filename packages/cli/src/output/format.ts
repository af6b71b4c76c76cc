import { Option } from "commander";

/** What `tulle get` prints in; `wide` has all columns, `name` is kind and name alone. */
export const GET_FORMATS = ["table", "wide", "json", "yaml", "name"] as const;

export type GetFormat = (typeof GET_FORMATS)[number];

export type StructuredFormat = "json" | "yaml";

/** `-o`, with the formats that a command has; the first is the default. */
export function outputOption(formats: readonly [string, ...string[]]): Option {
  return new Option("-o, --output <format>", "how to print it").choices(formats).default(formats[0]);
}

export function isStructured(format: string): format is StructuredFormat {
  return format === "json" || format === "yaml";
}

/** A value as JSON or YAML, with a line break at its end. Control characters are escaped: terminals see none. */
export async function renderStructured(format: StructuredFormat, value: unknown): Promise<string> {
  return format === "json" ? `${escapeC1(JSON.stringify(value, null, 2))}\n` : renderYaml(value);
}

/** A value as one YAML document, with a line break at its end; long texts stay on one line. */
export async function renderYaml(value: unknown): Promise<string> {
  const { Document, visit } = await import("yaml");
  // What JSON leaves out, such as undefined members, is left out here too.
  const document = new Document(JSON.parse(JSON.stringify(value)), { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_, scalar) => {
      const text = scalar.value;
      if (typeof text !== "string") return;
      if (CONTROL.test(text) || BLANK_LINE.test(text)) scalar.type = "QUOTE_DOUBLE";
    },
  });
  return escapeC1(
    document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER }),
  );
}

// Line breaks and tabs are fine in a block of text.
// oxlint-disable-next-line no-control-regex -- control characters are what this finds
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/** Lines of spaces in a text of several lines: as a block, the library writes some that read back as others. */
const BLANK_LINE = /^[ \t]+\n|\n[ \t]+(?:\n|$)/;

/** JSON leaves DEL and C1 as they are; both notations read them as `\u00xx`. */
function escapeC1(text: string): string {
  return text.replace(/[\u007f-\u009f]/g, (found) => `\\u00${found.charCodeAt(0).toString(16)}`);
}
