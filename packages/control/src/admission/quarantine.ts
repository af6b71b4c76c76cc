import { setImmediate } from "node:timers/promises";

import {
  findKind,
  KINDS,
  objectKey,
  objectText,
  toWire,
  type Kind,
  type MeshObject,
  type ObjectKey,
} from "@tulle/api";
import type { Logger } from "@tulle/base";
import type { MeshReader } from "@tulle/translate";

import { tryOut } from "./trial.js";

/** Objects that are looked at in one turn of the event loop: a few milliseconds. */
const SLICE = 8;

/** Why an object is left out of what proxies get; undefined: it is not. */
export type Reason = string | undefined;

/** Keeps objects that nobody could carry out from those that are fine. */
export interface Quarantine {
  /**
   * The list without what is quarantined, and with what holds in its place where more would be open without: the same array
   * for the same array.
   */
  admitted(objects: readonly MeshObject[]): readonly MeshObject[];
  reasonFor(object: MeshObject): Reason;
  /** Looks at all of a list, in slices, so that who asks later does not wait. */
  warm(objects: readonly MeshObject[]): Promise<void>;
}

export interface QuarantineOptions {
  readonly settings: MeshReader["settings"];
  readonly logger: Logger;
  readonly kinds?: readonly Kind[];
}

/**
 * Kinds whose objects are left out when no proxy would take them. Of rules that secure something none is: without them
 * more would be open than anybody said, so proxies refuse what they shape, and keep the last good.
 */
const SEPARABLE: readonly string[] = ["VirtualService", "ServiceEntry"];

/**
 * Objects get into the store past every check: by an older version of Tulle, by an import, by another program. Each is
 * looked at once for each of its revisions, by itself: what is registered, and what else is stored, does not matter.
 */
export function createQuarantine({ settings, logger, kinds = KINDS }: QuarantineOptions): Quarantine {
  const reasons = new WeakMap<MeshObject, { readonly reason: Reason }>();
  const lists = new WeakMap<readonly MeshObject[], readonly MeshObject[]>();
  const reasonFor = (object: MeshObject): Reason => {
    const known = reasons.get(object);
    if (known !== undefined) return known.reason;
    const reason = judge(object, settings, kinds);
    reasons.set(object, { reason });
    if (reason !== undefined) {
      const closed = kindOf(object, kinds)?.closed !== undefined;
      const consequence = closed ? "everything that it is about is denied until it can" : "it is left out";
      logger.error(`a stored object cannot be used; ${consequence}`, {
        object: objectText(objectKey(object)),
        reason,
      });
    }
    return reason;
  };
  return {
    reasonFor,
    warm: async (objects) => {
      for (const [index, object] of objects.entries()) {
        reasonFor(object);
        if (index % SLICE === SLICE - 1) await setImmediate();
      }
    },
    admitted: (objects) => {
      let list = lists.get(objects);
      if (list === undefined) {
        const good = objects.flatMap((object) =>
          reasonFor(object) === undefined ? [object] : (kindOf(object, kinds)?.closed?.(object) ?? []),
        );
        list =
          good.every((object, index) => object === objects[index]) && good.length === objects.length
            ? objects
            : good;
        lists.set(objects, list);
      }
      return list;
    },
  };
}

function kindOf(object: MeshObject, kinds: readonly Kind[]): Kind | undefined {
  const { group, kind } = objectKey(object);
  return findKind(group, kind, kinds);
}

function judge(object: MeshObject, settings: MeshReader["settings"], kinds: readonly Kind[]): Reason {
  const key = objectKey(object);
  const kind = findKind(key.group, key.kind, kinds);
  // Core kinds are nobody's configuration.
  if (kind === undefined || key.group === "") return undefined;
  const checked = kind.check(toWire(kind, object, kind.storageVersion));
  if (!checked.ok) return checked.violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
  if (!SEPARABLE.includes(key.kind)) return undefined;
  const refusals = tryOut(readerOfOne(object, key, settings), object);
  return refusals.length === 0
    ? undefined
    : refusals.map(({ path, message }) => `${path}: ${message}`).join("; ");
}

/** A mesh of one object, in which no service is registered. */
function readerOfOne(object: MeshObject, key: ObjectKey, settings: MeshReader["settings"]): MeshReader {
  return {
    settings,
    catalog: { service: () => undefined, services: () => [] },
    objects: (group, kind) => (group === key.group && kind === key.kind ? [object] : []),
  };
}
