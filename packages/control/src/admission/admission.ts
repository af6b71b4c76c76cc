import { CONSUL_GROUP, objectKey, objectText, type MeshObject, type Violation } from "@tulle/api";
import { MeshError, type Logger } from "@tulle/base";
import {
  ALLOW_CONFLICT_ANNOTATION,
  CONFLICTING_KINDS,
  conflictsOf,
  type Conflict,
  type MeshReader,
} from "@tulle/translate";

import { overlay } from "../analysis/index.js";
import { newlyBroken } from "./broken-chains.js";
import { tryOut, type TrialRefusal } from "./trial.js";

/** What an object that is about to be written gets to hear. */
export interface Verdict {
  /** With any of these it is not stored. */
  readonly violations: readonly Violation[];
  readonly warnings: readonly string[];
}

/** Decides on objects before they are stored. `current`: the object in whose place it comes. */
export type Admit = (object: MeshObject, current: MeshObject | undefined) => Verdict;

export interface AdmissionOptions {
  /** What is stored, and what is registered. */
  readonly reader: MeshReader;
  readonly logger: Logger;
}

const EVERYTHING: Verdict = { violations: [], warnings: [] };

/**
 * Refuses what proxies would refuse, and what another object claims already. What was wrong before is not held against a
 * write that leaves it as it is.
 */
export function createAdmission({ reader, logger }: AdmissionOptions): Admit {
  return (object, current) => {
    try {
      const conflicts = newConflicts(reader, object, current);
      const trial = newRefusals(reader, object, current);
      const verdict = conflictVerdict(object, conflicts);
      const chains = chainVerdict(reader, object);
      return {
        violations: [...verdict.violations, ...chains.violations, ...trial],
        warnings: [...verdict.warnings, ...chains.warnings],
      };
    } catch (thrown) {
      // The proxies have the last word, and keep what they have.
      logger.error("an object could not be tried out; it is stored as it is", {
        object: objectText(objectKey(object)),
        error: MeshError.from(thrown),
      });
      return EVERYTHING;
    }
  };
}

function newConflicts(
  reader: MeshReader,
  object: MeshObject,
  current: MeshObject | undefined,
): readonly Conflict[] {
  const { group, kind } = objectKey(object);
  if (!CONFLICTING_KINDS.some((one) => one.group === group && one.kind === kind)) return [];
  const all = reader.objects(group, kind);
  const domain = reader.settings.domainSuffix;
  const found = conflictsOf(object, all, domain);
  if (found.length === 0 || current === undefined) return found;
  const before = new Set(conflictsOf(current, all, domain).map(textOf));
  return found.filter((conflict) => !before.has(textOf(conflict)));
}

/** What is named and not declared may be so by the next object: files have no order. */
function chainVerdict(reader: MeshReader, object: MeshObject): Verdict {
  if (objectKey(object).group !== CONSUL_GROUP) return EVERYTHING;
  const broken = newlyBroken(reader, overlay(reader, [object]), object);
  return {
    violations: broken
      .filter(({ kind }) => kind === "impossible")
      .map(({ path, message }) => ({ path, message })),
    warnings: broken
      .filter(({ kind }) => kind === "undeclared")
      .map(({ path, message }) => `${path}: ${message}: its instances are those labelled version=<subset>`),
  };
}

function conflictVerdict(object: MeshObject, conflicts: readonly Conflict[]): Verdict {
  const allowed = object.metadata.annotations?.[ALLOW_CONFLICT_ANNOTATION] === "true";
  if (allowed) {
    const warnings = conflicts.map(
      (conflict) => `${conflict.path}: ${sentence(conflict)}; the older of the two holds`,
    );
    return { violations: [], warnings };
  }
  const self = objectText(objectKey(object));
  const violations = conflicts.map((conflict) => ({
    path: conflict.path,
    message:
      `conflicts with ${objectText(objectKey(conflict.other))}: ${sentence(conflict)}, and ${self} cannot have it beside it. ` +
      `Merge the two, narrow who sees them, or set the annotation ${ALLOW_CONFLICT_ANNOTATION}: "true" (the older then holds)`,
  }));
  return { violations, warnings: [] };
}

function sentence({ claim, other }: Conflict): string {
  return `${objectText(objectKey(other))} claims ${claim}`;
}

function textOf({ claim, other }: Conflict): string {
  return `${claim} ${objectText(objectKey(other))}`;
}

function newRefusals(
  reader: MeshReader,
  object: MeshObject,
  current: MeshObject | undefined,
): readonly TrialRefusal[] {
  const refusals = tryOut(overlay(reader, [object]), object);
  if (refusals.length === 0 || current === undefined) return refusals;
  // Asked by a webhook, the reader does not have it.
  const before = new Set(tryOut(overlay(reader, [current]), current).map(({ message }) => message));
  return refusals.filter(({ message }) => !before.has(message));
}
