import type { Wanted } from "../route/words.js";

/** What is asked for, so that it follows "must be". */
export function wordsOf(wanted: Wanted | boolean): string {
  if (typeof wanted === "boolean") return wanted ? "anything" : "absent";
  const text = JSON.stringify(wanted.text);
  switch (wanted.verb) {
    case "be":
      return text;
    case "begin with":
      return `one that begins with ${text}`;
    case "end with":
      return `one that ends with ${text}`;
    case "contain":
      return `one that contains ${text}`;
    default:
      return `one that matches ${text}`;
  }
}
