import type { Violation } from "@tulle/api";
import { parseDuration } from "@tulle/base";

/**
 * Reads the fields of a JSON object that a user wrote. Field names are matched as Consul does: without regard to case
 * and to underscores, so `DeregisterCriticalServiceAfter` and `deregister_critical_service_after` are one. Absent
 * fields and null give the default; wrong types give the default and a violation. Keys of maps are left as they are.
 */
export class FieldReader {
  readonly violations: Violation[];
  readonly #fields = new Map<string, unknown>();
  readonly #path: string;

  private constructor(object: object, path: string, violations: Violation[]) {
    this.#path = path;
    this.violations = violations;
    for (const [key, value] of Object.entries(object)) {
      if (value !== null && value !== undefined) this.#fields.set(normalize(key), value);
    }
  }

  /** A reader of `value`; of an empty object, with a violation, when it is none. */
  static of(value: unknown, path = "", violations: Violation[] = []): FieldReader {
    if (isObject(value)) return new FieldReader(value, path, violations);
    violations.push({ path, message: "must be an object" });
    return new FieldReader({}, path, violations);
  }

  has(name: string): boolean {
    return this.#fields.has(normalize(name));
  }

  /** Whether the field says anything: empty texts, lists and objects, false and 0 do not. */
  says(name: string): boolean {
    const value = this.#fields.get(normalize(name));
    if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
    return value !== undefined && value !== "" && value !== false && value !== 0;
  }

  refuse(name: string, message: string): void {
    this.violations.push({ path: this.#path + name, message });
  }

  text(name: string, fallback = ""): string {
    return this.#typed(name, fallback, "a string", (value) => typeof value === "string");
  }

  number(name: string, fallback = 0): number {
    return this.#typed(
      name,
      fallback,
      "a number",
      (value) => typeof value === "number" && Number.isFinite(value),
    );
  }

  boolean(name: string): boolean {
    return this.#typed(name, false, "true or false", (value) => typeof value === "boolean");
  }

  texts(name: string): readonly string[] {
    return this.#typed(name, [], "a list of strings", isTexts);
  }

  /** Milliseconds of a Go duration (`10s`), or of a number of nanoseconds; undefined when absent. */
  duration(name: string): number | undefined {
    const value = this.#fields.get(normalize(name));
    if (value === undefined || value === "") return undefined;
    const ms =
      typeof value === "number" ? value / 1e6 : typeof value === "string" ? parseDuration(value) : undefined;
    if (ms === undefined || !(ms >= 0)) this.refuse(name, "must be a duration such as 10s");
    return ms;
  }

  /** A map of strings, on a null prototype: keys are the user's. */
  textMap(name: string): Readonly<Record<string, string>> {
    return this.#map(name, "a string", (value) => (typeof value === "string" ? value : undefined));
  }

  textsMap(name: string): Readonly<Record<string, readonly string[]>> {
    return this.#map(name, "a list of strings", (value) =>
      typeof value === "string" ? [value] : isTexts(value) ? value : undefined,
    );
  }

  /** A reader for each entry of a map. */
  objectMap(name: string): readonly (readonly [string, FieldReader])[] {
    const value = this.#typed(name, {}, "an object", isObject);
    return Object.entries(value).map(([key, entry]) => [key, this.#inner(`${name}.${key}`, entry)] as const);
  }

  object(name: string): FieldReader | undefined {
    const value = this.#fields.get(normalize(name));
    return value === undefined ? undefined : this.#inner(name, value);
  }

  objects(name: string): readonly FieldReader[] {
    const list = this.#typed<readonly unknown[]>(name, [], "a list", Array.isArray);
    return list.map((value, at) => this.#inner(`${name}[${at}]`, value));
  }

  #inner(name: string, value: unknown): FieldReader {
    return FieldReader.of(value, `${this.#path}${name}.`, this.violations);
  }

  #typed<T>(name: string, fallback: T, what: string, is: (value: unknown) => boolean): T {
    const value = this.#fields.get(normalize(name));
    if (value === undefined) return fallback;
    if (is(value)) return value as T;
    this.refuse(name, `must be ${what}`);
    return fallback;
  }

  #map<T>(name: string, what: string, read: (value: unknown) => T | undefined): Readonly<Record<string, T>> {
    const out: Record<string, T> = Object.create(null);
    for (const [key, value] of Object.entries(this.#typed<object>(name, {}, "an object", isObject))) {
      const entry = read(value);
      if (entry === undefined) this.refuse(`${name}.${key.slice(0, 128)}`, `must be ${what}`);
      else out[key] = entry;
    }
    return out;
  }
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll("_", "");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
