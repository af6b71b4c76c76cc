import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Alias,
  type Document,
  type YAMLMap,
} from "yaml";
import { MAX_DEPTH, MAX_ITEMS } from "../schema/copy.js";
import type { SourcePosition, SourceProblem } from "./position.js";

/** Longest text, in UTF-16 units. */
export const MAX_SOURCE_LENGTH = 10 * 1024 * 1024;
const MAX_DOCUMENTS = 10_000;
/** Most values that one text stands for once its aliases are followed: a bomb of aliases ends here. */
const MAX_VALUES = 1_000_000;
const MAX_PROBLEMS = 100;

/** One document as JSON, and where its parts stand. */
export interface YamlDocument {
  readonly value: unknown;
  readonly position: SourcePosition;
  /** Where the deepest part of a path stands that the document has. */
  at(path: readonly (string | number)[]): SourcePosition;
}

export interface YamlText {
  readonly documents: readonly YamlDocument[];
  /** In the order of the text. With any of these, `documents` lacks what they are about. */
  readonly problems: readonly SourceProblem[];
}

/**
 * The documents of a YAML (1.2, with merge keys) or JSON text. Never throws: what is wrong is among the problems.
 * Empty documents are left out.
 */
export function readYaml(text: string, source: string): YamlText {
  if (text.length > MAX_SOURCE_LENGTH) {
    const message = `is longer than ${MAX_SOURCE_LENGTH / 1024 / 1024} MiB; split it into several files`;
    return { documents: [], problems: [{ source, line: 1, column: 1, message }] };
  }
  const reader = new YamlReader(source);
  try {
    reader.read(text);
  } catch (thrown) {
    // The parser recurses with the text's nesting.
    const tooDeep = thrown instanceof RangeError;
    reader.report(0, tooDeep ? "is nested too deeply" : `cannot be read: ${String(thrown)}`);
  }
  return { documents: reader.documents, problems: reader.problems };
}

class YamlReader {
  readonly documents: YamlDocument[] = [];
  readonly problems: SourceProblem[] = [];
  readonly #source: string;
  readonly #lines = new LineCounter();
  #values = 0;

  constructor(source: string) {
    this.#source = source;
  }

  read(text: string): void {
    const parsed = parseAllDocuments(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      // Checked here: the parser's own check is quadratic in a map's size.
      uniqueKeys: false,
      merge: true,
      resolveKnownTags: false,
      logLevel: "silent",
    });
    const documents = Array.isArray(parsed) ? parsed : [];
    for (const document of documents.slice(0, MAX_DOCUMENTS)) this.#document(document);
    const extra = documents[MAX_DOCUMENTS];
    if (extra !== undefined) this.report(extra.range[0], `has more than ${MAX_DOCUMENTS} documents`);
  }

  report(offset: number, message: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ ...this.#position(offset), message });
  }

  #document(document: Document.Parsed): void {
    const before = this.problems.length;
    for (const error of document.errors) this.report(error.pos[0], `is not valid YAML: ${error.message}`);
    if (this.problems.length > before) return;
    const aliases = resolveAliases(document);
    const value = this.#value(document.contents, aliases, 0);
    if (value === null || this.problems.length > before) return;
    this.documents.push({
      value,
      position: this.#position(startOf(document.contents) ?? document.range[0]),
      at: (path) => this.#position(locate(document, aliases, path)),
    });
  }

  #value(node: unknown, aliases: Aliases, depth: number): unknown {
    const offset = startOf(node) ?? 0;
    if (++this.#values > MAX_VALUES) {
      if (this.#values === MAX_VALUES + 1) this.report(offset, `stands for more than ${MAX_VALUES} values`);
      return null;
    }
    if (depth > MAX_DEPTH) {
      this.report(offset, `is nested deeper than ${MAX_DEPTH} levels`);
      return null;
    }
    if (isAlias(node)) {
      const target = aliases.get(node);
      if (target === undefined)
        this.report(offset, `refers to *${node.source}, which is not defined before it`);
      return target === undefined ? null : this.#value(target, aliases, depth + 1);
    }
    if (isMap(node)) return this.#map(node, aliases, depth);
    if (isSeq(node)) {
      if (node.items.length > MAX_ITEMS) {
        this.report(offset, `has ${node.items.length} items; at most ${MAX_ITEMS} are allowed`);
        return null;
      }
      return node.items.map((item) => this.#value(item, aliases, depth + 1));
    }
    return isScalar(node) ? jsonScalar(node.value) : null;
  }

  #map(map: YAMLMap, aliases: Aliases, depth: number): unknown {
    const entries = new Map<string, unknown>();
    const merged: unknown[] = [];
    for (const { key, value } of map.items) {
      const offset = startOf(key) ?? startOf(map) ?? 0;
      const name = keyName(key);
      if (name === undefined) this.report(offset, "is a key that is not a plain word");
      else if (name === "<<") merged.push(this.#value(value, aliases, depth + 1));
      else if (entries.has(name)) this.report(offset, `has the key ${JSON.stringify(name)} already`);
      else entries.set(name, this.#value(value, aliases, depth + 1));
    }
    for (const source of merged.flat()) {
      if (typeof source !== "object" || source === null) continue;
      for (const [name, value] of Object.entries(source)) if (!entries.has(name)) entries.set(name, value);
    }
    // fromEntries defines properties: a key __proto__ becomes one like any other.
    return Object.fromEntries(entries);
  }

  #position(offset: number): SourcePosition {
    const { line, col } = this.#lines.linePos(offset);
    return { source: this.#source, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** What each alias stands for. */
type Aliases = ReadonlyMap<Alias, unknown>;

/** All aliases of a document in one pass: the parser's own look-up walks the document for each. */
function resolveAliases(document: Document.Parsed): Aliases {
  const anchors = new Map<string, unknown>();
  const aliases = new Map<Alias, unknown>();
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node)) {
        if (anchors.has(node.source)) aliases.set(node, anchors.get(node.source));
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return aliases;
}

function jsonScalar(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "symbol" ? String(value.description) : (value ?? null);
}

function keyName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  const value = key.value;
  if (typeof value === "symbol") return "<<";
  return typeof value === "string" ? value : (key.source ?? String(value));
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  return Array.isArray(node.range) ? Number(node.range[0]) : undefined;
}

/** The offset of the deepest part of `path` that is there: of a field, its key. */
function locate(document: Document.Parsed, aliases: Aliases, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range[0];
  for (const step of path) {
    if (isAlias(node)) node = aliases.get(node);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyName(key) === String(step));
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      const item: unknown = node.items[step];
      if (item === undefined) break;
      offset = startOf(item) ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
