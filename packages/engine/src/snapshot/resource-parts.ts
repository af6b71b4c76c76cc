import type { ResourceChange } from "./contract.js";

/** A resource as applied, with what it was compiled to. */
interface Held<Part> {
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly part: Part;
}

/** How many names are remembered as "does not exist" or "was refused"; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

/** The resources of one type: the last good one of each name, and the names that have been answered otherwise. */
export class ResourceParts<Part> {
  readonly typeUrl: string;
  readonly #held = new Map<string, Held<Part>>();
  readonly #absent = new Set<string>();
  readonly #refused = new Set<string>();

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get(name: string): Part | undefined {
    return this.#held.get(name)?.part;
  }

  version(name: string): string {
    return this.#held.get(name)?.version ?? "";
  }

  /** Whether the control plane says that there is no such resource. */
  isAbsent(name: string): boolean {
    return this.#absent.has(name);
  }

  /** Whether waiting for this name has come to an end: it is here, does not exist, or was refused. */
  isAnswered(name: string): boolean {
    return this.#held.has(name) || this.#absent.has(name) || this.#refused.has(name);
  }

  /** The part that these very bytes were compiled to before, if they are what is held. */
  unchanged(name: string, bytes: Uint8Array): Part | undefined {
    const held = this.#held.get(name);
    return held !== undefined && equalBytes(held.bytes, bytes) ? held.part : undefined;
  }

  set(name: string, version: string, bytes: Uint8Array, part: Part): void {
    this.#held.set(name, { version, bytes, part });
    this.#absent.delete(name);
    this.#refused.delete(name);
  }

  /** The resource does not exist (any more). */
  remove(name: string): void {
    this.#held.delete(name);
    this.#refused.delete(name);
    remember(this.#absent, name);
  }

  /** A version was refused; what is held stays. */
  refuse(name: string): void {
    if (!this.#held.has(name) && !this.#absent.has(name)) remember(this.#refused, name);
  }

  forget(name: string): void {
    this.#held.delete(name);
    this.#absent.delete(name);
    this.#refused.delete(name);
  }

  names(): Iterable<string> {
    return this.#held.keys();
  }

  absentNames(): Iterable<string> {
    return this.#absent;
  }

  *resources(): Iterable<ResourceChange> {
    for (const [name, { version, bytes }] of this.#held)
      yield { typeUrl: this.typeUrl, name, version, bytes };
  }
}

function remember(names: Set<string>, name: string): void {
  names.delete(name);
  names.add(name);
  if (names.size <= MAX_REMEMBERED) return;
  for (const oldest of names) {
    names.delete(oldest);
    break;
  }
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left === right) return true;
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}
