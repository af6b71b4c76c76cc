import { KINDS, resolveKindName, type Kind } from "@tulle/api";

/** What the words after a command ask for: one kind's objects, or some of them by name. */
export interface Selection {
  /** As the user wrote it. */
  readonly word: string;
  /** Empty: all. */
  readonly names: readonly string[];
}

/**
 * Reads `KIND[,KIND…] [NAME…]` or `KIND/NAME…`. A text instead of selections says what is wrong.
 */
export function parseSelections(words: readonly string[]): readonly Selection[] | string {
  if (words.some((word) => word.includes("/"))) return parseSlashed(words);
  const [first = "", ...names] = words;
  const kinds = first.split(",").filter((word) => word !== "");
  if (kinds.length === 0) return `say which kind: ${knownKinds()}`;
  return kinds.map((word) => ({ word, names }));
}

function parseSlashed(words: readonly string[]): readonly Selection[] | string {
  const byKind = new Map<string, string[]>();
  for (const text of words) {
    const [word = "", name = "", ...rest] = text.split("/");
    if (word === "" || name === "" || rest.length > 0) {
      return `${JSON.stringify(text)} is not KIND/NAME; either all words are, or none is`;
    }
    const names = byKind.get(word) ?? [];
    names.push(name);
    byKind.set(word, names);
  }
  return [...byKind].map(([word, names]) => ({ word, names }));
}

/** The kinds that a word names: one, or those of a category such as `istio-io`. Empty when it names none. */
export function kindsNamed(word: string): readonly Kind[] {
  const kind = resolveKindName(word);
  if (kind !== undefined) return [kind];
  return KINDS.filter(({ categories }) => categories.includes(word.toLowerCase()));
}

/** "virtualservices (vs), destinationrules (dr), …" */
export function knownKinds(): string {
  return KINDS.map(({ plural, shortNames }) =>
    shortNames.length === 0 ? plural : `${plural} (${shortNames.join(", ")})`,
  ).join(", ");
}
