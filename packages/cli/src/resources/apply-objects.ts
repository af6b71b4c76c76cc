import { formatProblem, InvalidObjectError, type SourceObject } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Client } from "@tulle/client";

import type { CliContext } from "../context.js";
import {
  readWrittenObjects,
  Complaints,
  type WrittenObject,
  type WrittenObjectsOptions,
} from "./written-objects.js";

export interface ApplyObjectsOptions extends WrittenObjectsOptions {
  readonly dryRun: boolean;
}

/**
 * Applies all objects behind `-f`, one after the other, Namespaces first, and says what became of each. An object that is refused does
 * not keep the others; a control plane that is away does, and rejects. Gives the number of refusals.
 */
export async function applyObjects(
  client: Client,
  options: ApplyObjectsOptions,
  context: CliContext,
): Promise<number> {
  const complaints = new Complaints(context);
  let applied = 0;
  for (const written of await readWrittenObjects(options, complaints)) {
    const { source, resource, namespace } = written;
    try {
      const { dryRun } = options;
      const result = await client.resources.apply(source.kind, source.object, { namespace, dryRun });
      // This side and the server may warn of the same.
      for (const warning of new Set(result.warnings)) complaints.warn(positionOf(source, warning), warning);
      context.out(`${resource} ${result.outcome}${dryRun ? " (dry run)" : ""}\n`);
      applied++;
    } catch (thrown) {
      complaints.add(refusal(written, toRefusal(thrown)));
    }
  }
  if (complaints.count > 0) {
    context.err(
      `tulle: ${complaints.count} refused, ${applied} ${options.dryRun ? "accepted" : "applied"}\n`,
    );
  }
  return complaints.count;
}

/** The error when it is about this object; one that the next object would meet too is thrown on. */
export function toRefusal(thrown: unknown): MeshError {
  const about: readonly string[] = [
    "invalid",
    "not-found",
    "already-exists",
    "conflict",
    "denied",
    "unimplemented",
  ];
  if (thrown instanceof MeshError && about.includes(thrown.kind)) return thrown;
  throw thrown;
}

/** One line for each violation, at its place in the file, in the form that editors link. */
function refusal({ source, resource }: WrittenObject, error: MeshError): readonly string[] {
  if (error instanceof InvalidObjectError) {
    const problems = error.violations
      .map(({ path, message }) => ({ ...source.at(path), message: `${path}: ${message}` }))
      .sort((a, b) => a.line - b.line || a.column - b.column);
    return [`${resource} refused:`, ...problems.map((problem) => `  ${formatProblem(problem)}`)];
  }
  const line = formatProblem({ ...positionOf(source, error.message), message: error.message });
  return [`${resource} refused:`, `  ${line}`];
}

/** Where the field stands that a message begins with; the object's beginning when it names none. */
function positionOf(source: SourceObject, message: string): ReturnType<SourceObject["at"]> {
  const path = /^(?:spec|metadata|data|stringData)(?:\.[A-Za-z_][\w-]*|\[\d+\])*/.exec(message)?.[0];
  return source.at(path ?? "");
}
