import { checkDefinition, type CheckDefinition } from "./definition.js";
import type { CheckState, WritableCheck } from "./state.js";
import { assertValid, validateCheck } from "./validate.js";

/** A check before its first result. Index 0 = not in the catalog yet. */
export function freshCheck(definition: CheckDefinition): WritableCheck {
  const status = definition.initialStatus;
  return { definition, status, output: "", createIndex: 0, modifyIndex: 0, criticalSinceMs: undefined };
}

/**
 * The check that takes the place of `previous`. What is known of its health holds, so that registering again does
 * not take an instance out; a status that somebody else finds out holds only until it is given again.
 */
export function successor(previous: CheckState | undefined, next: WritableCheck): WritableCheck {
  if (previous === undefined) return next;
  const { probe } = next.definition;
  if (probe.kind !== previous.definition.probe.kind) return next;
  if (probe.kind === "none" && next.definition !== previous.definition) return next;
  return { ...previous, definition: next.definition };
}

/** Gives a check that has no index yet the one of this change, and a critical one the time since when. */
export function stamp(check: WritableCheck, index: number, nowMs: number): WritableCheck {
  const criticalSinceMs = check.status === "critical" ? (check.criticalSinceMs ?? nowMs) : undefined;
  if (check.createIndex !== 0) return { ...check, criticalSinceMs };
  return { ...check, createIndex: index, modifyIndex: index, criticalSinceMs };
}

/** The checks that take the place of `previous`, each the successor of the one with its id. */
export function stampAll(
  checks: ReadonlyMap<string, WritableCheck>,
  previous: ReadonlyMap<string, CheckState> | undefined,
  index: number,
  nowMs: number,
): Map<string, WritableCheck> {
  return new Map(
    [...checks].map(([id, check]) => [id, stamp(successor(previous?.get(id), check), index, nowMs)]),
  );
}

/** `checks` with the critical check that means maintenance, or without it. */
export function withMaintenance(
  checks: ReadonlyMap<string, WritableCheck>,
  enabled: boolean,
  where: { readonly id: string; readonly namespace: string; readonly serviceId: string },
  reason: string,
): Map<string, WritableCheck> {
  const changed = new Map(checks);
  if (!enabled) {
    changed.delete(where.id);
    return changed;
  }
  const what = where.serviceId === "" ? "Node" : "Service";
  const definition = checkDefinition({
    ...where,
    name: `${what} Maintenance Mode`,
    notes: reason === "" ? `${what.toLowerCase()} taken out of service by hand; no reason given` : reason,
    probe: { kind: "none" },
  });
  assertValid("maintenance", validateCheck(definition));
  return changed.set(where.id, freshCheck(definition));
}
