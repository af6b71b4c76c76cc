import { objectText, type Finding, type ObjectKey } from "@tulle/api";
import type { Event } from "@tulle/base";
import { analyze, type MeshReader } from "@tulle/translate";

export interface FindingsOptions {
  readonly reader: MeshReader;
  /** Anything that analysis reads has changed. */
  readonly changes: readonly Event<unknown>[];
}

/**
 * What analysis finds in the stored objects, but for what is not carried out, which the condition `Warning` says in the
 * words of what proxies are really sent. Made when asked for, kept until something changes.
 */
export class Findings {
  readonly #reader: MeshReader;
  #byObject: ReadonlyMap<string, readonly Finding[]> | undefined;

  constructor({ reader, changes }: FindingsOptions) {
    this.#reader = reader;
    for (const change of changes) {
      change(() => {
        this.#byObject = undefined;
      });
    }
  }

  /** Of one object, worst first. */
  of(key: ObjectKey): readonly Finding[] {
    this.#byObject ??= grouped(analyze(this.#reader, { live: true, carriedOut: false }));
    return this.#byObject.get(textOf(key)) ?? [];
  }
}

function grouped(findings: readonly Finding[]): ReadonlyMap<string, readonly Finding[]> {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = textOf(finding.object);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [finding]);
    else group.push(finding);
  }
  return groups;
}

function textOf(key: ObjectKey): string {
  return `${key.group} ${objectText(key)}`;
}
