import { formatPath, type Path } from "./path.js";

/** A struct that a rewrite may change: part of the private copy that is being checked. */
export type Mutable = Record<string, unknown>;

/**
 * Collects what the rewriting of deprecated fields has to say: warnings for the user, and where a value came from, so
 * that a violation in it names the field that the user wrote.
 */
export class Rewrites {
  readonly warnings: string[] = [];
  readonly #origins: { readonly now: string; readonly before: string }[] = [];

  /**
   * Moves the value of the deprecated field `from` to the path `to` in `fields` (at `path`), through `convert`.
   *
   * A successor that is there already is replaced: stored objects never hold the deprecated field, so after a patch
   * (which is how clients apply a changed file) the deprecated one is what the user has just written.
   */
  move(
    fields: Mutable,
    path: Path,
    from: string,
    to: readonly [string, ...string[]],
    convert: (value: unknown) => unknown = same,
  ): void {
    const value = fields[from];
    if (value === undefined) return;
    let target = fields;
    for (const name of to.slice(0, -1)) {
      target[name] ??= {};
      const next = asStruct(target[name]);
      if (next === undefined) return; // The schema refuses both.
      target = next;
    }
    const last = to.at(-1) ?? to[0];
    delete fields[from];
    const replaced = target[last] !== undefined ? ", which is given too and ignored" : "";
    target[last] = convert(value);
    this.#origins.push({ now: formatPath([...path, ...to]), before: formatPath([...path, from]) });
    this.#warn(path, from, `is deprecated; it is kept as ${to.join(".")}${replaced}`);
  }

  /** Takes a field that has no meaning any more out of `fields`. */
  drop(fields: Mutable, path: Path, field: string, reason: string): void {
    if (fields[field] === undefined) return;
    delete fields[field];
    this.#warn(path, field, `is deprecated and ignored: ${reason}`);
  }

  /** Puts `value` in the place of a deprecated value of `field`. */
  replace(fields: Mutable, path: Path, field: string, value: string): void {
    const before = String(fields[field]);
    fields[field] = value;
    this.#warn(path, field, `has the deprecated value ${before}; it is kept as ${value}`);
  }

  /** The path that the user wrote for a path in the rewritten object. */
  original(path: string): string {
    for (const { now, before } of this.#origins) {
      if (path === now || path.startsWith(`${now}.`) || path.startsWith(`${now}[`)) return before;
    }
    return path;
  }

  #warn(path: Path, field: string, message: string): void {
    if (this.warnings.length < 100) this.warnings.push(`${formatPath([...path, field])} ${message}`);
  }
}

function same(value: unknown): unknown {
  return value;
}

/** The struct under `name`, or undefined when it is absent or not a struct. */
export function structAt(fields: Mutable | undefined, name: string): Mutable | undefined {
  return asStruct(fields?.[name]);
}

/** The structs of the list under `name`, each with its path. */
export function structsAt(
  fields: Mutable | undefined,
  path: Path,
  name: string,
): readonly (readonly [Mutable, Path])[] {
  const list = fields?.[name];
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown, index) => {
    const struct = asStruct(item);
    return struct === undefined ? [] : [[struct, [...path, name, index]] as const];
  });
}

function asStruct(value: unknown): Mutable | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Mutable)
    : undefined;
}
