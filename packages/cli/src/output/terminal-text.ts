/**
 * Text that others wrote, fit for a terminal: control characters (C0, DEL, C1) become spaces, so that nobody moves the
 * cursor, colours or titles of whoever reads it. Line breaks too, unless `lines` keeps them.
 */
export function terminalText(text: string, options: { readonly lines?: boolean } = {}): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (found) =>
    found === "\n" && options.lines === true ? found : " ",
  );
}
