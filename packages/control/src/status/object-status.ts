import {
  findKind,
  objectKey,
  type Finding,
  type FindingLevel,
  type MeshObject,
  type ObjectKey,
} from "@tulle/api";

import type { Quarantine } from "../admission/index.js";
import type { Findings } from "../analysis/index.js";
import type { ObjectCondition, ObjectStatus, PushLedger } from "../push/index.js";

/** What analysis says of an object, as Istio's `status.validationMessages` has it, with what it says in full. */
export interface ValidationMessage {
  readonly type: { readonly code: string; readonly name: string };
  readonly level: Uppercase<FindingLevel>;
  readonly documentationUrl?: string;
  readonly path?: string;
  readonly message: string;
}

/** Everything that is known of an object beside what was written. */
export interface FullStatus extends ObjectStatus {
  /** The generation that proxies are sent. */
  readonly observedGeneration: number;
  readonly validationMessages?: readonly ValidationMessage[];
}

export interface ObjectStatusSources {
  readonly ledger: Pick<PushLedger, "statusOf">;
  readonly findings: Pick<Findings, "of">;
  readonly quarantine: Pick<Quarantine, "reasonFor">;
  readonly index: { get(key: ObjectKey): MeshObject | undefined };
}

const MAX_MESSAGES = 100;
const DOCUMENTATION = "https://istio.io/latest/docs/reference/config/analysis";

/** Computes the status of objects; undefined for one that is not there (yet). */
export function createObjectStatus(sources: ObjectStatusSources): (key: ObjectKey) => FullStatus | undefined {
  const { ledger, findings, quarantine, index } = sources;
  return (key) => {
    const object = index.get(key);
    if (object === undefined) return undefined;
    const { conditions, ...rest } = ledger.statusOf(key);
    const messages = findings.of(key).slice(0, MAX_MESSAGES).map(messageOf);
    return {
      observedGeneration: object.metadata.generation,
      conditions: [...conditions, accepted(object, quarantine.reasonFor(object))],
      ...(messages.length === 0 ? {} : { validationMessages: messages }),
      ...rest,
    };
  };
}

function accepted(object: MeshObject, reason: string | undefined): ObjectCondition {
  const type = "Accepted";
  if (reason === undefined) {
    return { type, status: "True", reason: "Accepted", message: "the object is part of the configuration" };
  }
  const { group, kind } = objectKey(object);
  const message =
    findKind(group, kind)?.closed === undefined
      ? `the object is left out, as if it were not there: ${reason}`
      : `the object cannot be read, so everything that it is about is denied: ${reason}`;
  return { type, status: "False", reason: "Quarantined", message };
}

function messageOf({ code, name, level, path, message }: Finding): ValidationMessage {
  return {
    type: { code, name },
    level: level.toUpperCase() as Uppercase<FindingLevel>,
    ...(code.startsWith("IST") ? { documentationUrl: `${DOCUMENTATION}/${code.toLowerCase()}/` } : {}),
    ...(path === "" ? {} : { path }),
    message,
  };
}
