import { TOKEN, isMadeOf } from "../characters.js";
import type { HeaderList } from "../contract.js";
import { lowerName } from "../field-names.js";
import { copyOf } from "../latin1.js";
import { NameMemo } from "../name-memo.js";

/**
 * Name of the field that carries how HTTP/1.1 spelt the other fields' names. Between sidecars only: strip it from what
 * applications send. A client spells alike from request to request, so HPACK makes it one byte.
 */
export const HEADER_CASE_FIELD = "x-tulle-header-case";

/*
 * The value: `t` when a name not listed is spelt Like-This, `l` when like-this; then `,` and each other spelling. A name
 * that one head spells in several ways is listed each time that it stands there.
 *
 *   t                       Host, User-Agent, X-Request-Id
 *   t,ETag,X-B3-TraceId     Host, ETag, X-B3-TraceId
 *   l,Host                  Host, user-agent, accept
 *   t,ETag,X-A,x-a,X-A      Host, ETag, X-A, x-a, X-A
 */
const TITLE = "t";
const LOWER = "l";
const MAX_VALUE_LENGTH = 2048;

const enum Style {
  /** `accept`, `x-a`. */
  LOWER,
  /** `Accept`, `X-A`, `Www-Authenticate`. */
  TITLE,
  /** `ETag`, `WWW-Authenticate`. */
  OTHER,
}

const MAX_STYLES = 4096;
const styles = new Map<string, Style>();
const titles = new Map<string, string>();

interface Encoded {
  readonly names: readonly string[];
  readonly value: string;
}

/** Last result by the shape of the list: clients repeat themselves. 64 slots for the whole process. */
const CACHE_SLOTS = 64;
const encodedCache: (Encoded | undefined)[] = Array.from({ length: CACHE_SLOTS }, () => undefined);

/**
 * The value of `HEADER_CASE_FIELD` for these fields, "" when all names are lower-case and nothing need be sent. 6 ns a
 * field when a list with the same names was seen before.
 */
export function encodeHeaderCase(headers: HeaderList): string {
  let shape = headers.length;
  for (let i = 0; i < headers.length; i += 2) shape = (Math.imul(shape, 31) + headers[i]!.length) | 0;
  const slot = (shape ^ (shape >>> 7)) & (CACHE_SLOTS - 1);
  const known = encodedCache[slot];
  if (known !== undefined && hasNames(headers, known.names)) return known.value;
  const names = namesOf(headers);
  const value = encodeNames(names);
  // Short names are interned by the codecs: comparing the lists later is comparing pointers.
  if (names.length <= 100 && names.every((name) => name.length <= 64)) encodedCache[slot] = { names, value };
  return value;
}

/** How one side spells names: what `restoreHeaderCase` needs, read once per value. */
interface Spelling {
  readonly isTitle: boolean;
  /** By lower-case name: what the value lists, and what was asked for since. */
  readonly names: Map<string, string>;
  /** The same, by place. */
  readonly memo: NameMemo<string>;
  /** What is listed more than once, in order; undefined when nothing is. */
  readonly repeated: ReadonlyMap<string, readonly string[]> | undefined;
}

const MAX_SPELLINGS = 64;
const MAX_SPELLING_NAMES = 512;
const spellings = new Map<string, Spelling>();

/**
 * Spells the names in `headers` (lower-case) as `value`, got from `HEADER_CASE_FIELD`, says; changes the list in place.
 * A value that makes no sense changes nothing: letters may change their case here and nothing else. 9 ns a field.
 */
export function restoreHeaderCase(headers: HeaderList, value: string): void {
  if (value === "" || value.length > MAX_VALUE_LENGTH) return;
  const spelling = spellings.get(value) ?? learnSpelling(value);
  if (spelling.repeated !== undefined) {
    restoreRepeated(headers, spelling, spelling.repeated);
    return;
  }
  for (let i = 0; i < headers.length; i += 2) headers[i] = spelling.memo.at(i >> 1, headers[i]!);
}

function restoreRepeated(
  headers: HeaderList,
  spelling: Spelling,
  repeated: ReadonlyMap<string, readonly string[]>,
): void {
  const counts = new Map<string, number>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    headers[i] = repeated.get(name)?.[count] ?? spelling.names.get(name) ?? learnName(spelling, name);
  }
}

function learnName({ isTitle, names }: Pick<Spelling, "isTitle" | "names">, name: string): string {
  const spelt = isTitle ? titleOf(name) : name;
  if (names.size < MAX_SPELLING_NAMES && name.length <= 64) names.set(copyOf(name), spelt);
  return spelt;
}

function hasNames(headers: HeaderList, names: readonly string[]): boolean {
  if (headers.length !== 2 * names.length) return false;
  for (let i = 0; i < names.length; i++) if (headers[2 * i] !== names[i]) return false;
  return true;
}

function namesOf(headers: HeaderList): string[] {
  return headers.filter((_, i) => i % 2 === 0);
}

function encodeNames(names: readonly string[]): string {
  let titleCount = 0;
  let lowerCount = 0;
  for (const name of names) {
    const style = styleOf(name);
    if (style === Style.TITLE) titleCount++;
    else if (style === Style.LOWER) lowerCount++;
  }
  const isTitle = titleCount >= lowerCount;
  const usual = isTitle ? Style.TITLE : Style.LOWER;
  const mixed = mixedNames(names);
  const listed = names.filter(
    (name, i) => mixed.has(lowerName(name)) || (styleOf(name) !== usual && names.indexOf(name) === i),
  );
  if (!isTitle && listed.length === 0) return "";
  if (names.length === 0) return "";
  const value = [isTitle ? TITLE : LOWER, ...listed].join(",");
  return value.length <= MAX_VALUE_LENGTH ? value : "";
}

/** In lower case: the names that are spelt in more than one way. */
function mixedNames(names: readonly string[]): ReadonlySet<string> {
  const first = new Map<string, string>();
  const mixed = new Set<string>();
  for (const name of names) {
    const lower = lowerName(name);
    const known = first.get(lower);
    if (known === undefined) first.set(lower, name);
    else if (known !== name) mixed.add(lower);
  }
  return mixed;
}

function styleOf(name: string): Style {
  const known = styles.get(name);
  if (known !== undefined) return known;
  const lower = lowerName(name);
  const style = name === lower ? Style.LOWER : name === titleOf(lower) ? Style.TITLE : Style.OTHER;
  if (styles.size >= MAX_STYLES) styles.clear();
  if (name.length <= 64) styles.set(copyOf(name), style);
  return style;
}

/** `www-authenticate` as `Www-Authenticate`. */
function titleOf(lower: string): string {
  const known = titles.get(lower);
  if (known !== undefined) return known;
  let title = "";
  let atStart = true;
  for (const character of lower) {
    title += atStart ? character.toUpperCase() : character;
    atStart = character === "-";
  }
  if (titles.size >= MAX_STYLES) titles.clear();
  if (lower.length <= 64) titles.set(copyOf(lower), title);
  return title;
}

function learnSpelling(value: string): Spelling {
  const [kind, ...listed] = value.split(",");
  const names = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  if (kind === TITLE || kind === LOWER) {
    for (const name of listed) {
      if (!isMadeOf(TOKEN, name)) continue;
      const lower = name.toLowerCase();
      const first = names.get(lower);
      if (first === undefined) {
        names.set(lower, copyOf(name));
        continue;
      }
      const spelt = repeated.get(lower);
      if (spelt === undefined) repeated.set(lower, [first, copyOf(name)]);
      else spelt.push(copyOf(name));
    }
  }
  const isTitle = kind === TITLE;
  const spelling: Spelling = {
    isTitle,
    names,
    repeated: repeated.size === 0 ? undefined : repeated,
    memo: new NameMemo((name) => names.get(name) ?? learnName({ isTitle, names }, name)),
  };
  if (spellings.size >= MAX_SPELLINGS) spellings.clear();
  spellings.set(copyOf(value), spelling);
  return spelling;
}
