import { policyFindings } from "@tulle/admission";
import {
  findKind,
  isAtLeast,
  isSuppressed,
  toWire,
  type Finding,
  type FindingLevel,
  type MeshObject,
  type Suppression,
  type VirtualServiceSpec,
} from "@tulle/api";
import type { Client } from "@tulle/client";
import { analyze } from "@tulle/translate";

import type { CliContext } from "../context.js";
import { readSources } from "../resources/source-files.js";
import { offlineReader } from "./offline-reader.js";
import { byPlace, renderFindings } from "./report.js";
import { WrittenFindings, type PlacedFinding } from "./written-findings.js";

export interface AnalyzeConfigurationOptions {
  readonly paths: readonly string[];
  /** Undefined: the files alone. */
  readonly client: Client | undefined;
  /** Of stored objects that are looked at, and of written ones that name none. */
  readonly namespace: string;
  readonly allNamespaces: boolean;
  readonly suppressions: readonly Suppression[];
  readonly threshold: FindingLevel;
  readonly output: "text" | "json" | "yaml";
}

/** Prints what analysis finds; gives whether something is as bad as the threshold. */
export async function analyzeConfiguration(
  options: AnalyzeConfigurationOptions,
  context: CliContext,
): Promise<boolean> {
  const { paths, client, suppressions, threshold } = options;
  const written = new WrittenFindings(options.namespace);
  for await (const { source, text } of readSources(paths, { recursive: true, stdin: context.stdin })) {
    written.read(text, source);
  }
  const found =
    client === undefined
      ? await offlineFindings(written.objects)
      : (await client.analyze(questionOf(options, written.objects))).findings;
  const placed: readonly PlacedFinding[] = [
    ...written.findings,
    ...found.map((one) => ({ ...one, position: written.locate(one.object, one.path) })),
  ];
  const delegates = delegatesOf(written.objects);
  const shown = placed
    .filter(({ code, path, object }) => {
      const isUsedDelegate = code === "IST0133" && path === "spec.hosts" && object !== undefined;
      return !(isUsedDelegate && delegates.has(`${object.namespace}/${object.name}`));
    })
    .filter(({ object, ...rest }) => object === undefined || !isSuppressed({ object, ...rest }, suppressions))
    .toSorted(byPlace);
  context.out(await renderFindings(shown, options.output, context.colors));
  if (options.output === "text")
    context.err(`${summary(shown, written.objects.length, client !== undefined)}\n`);
  return shown.some(({ level }) => isAtLeast(level, threshold));
}

/** What analysis finds in files alone, and what policies among them say of the other objects. */
async function offlineFindings(objects: readonly MeshObject[]): Promise<readonly Finding[]> {
  const reader = offlineReader(objects);
  const byPolicies = await policyFindings(reader, objects, { username: "tulle:analyze", groups: [] });
  return [...analyze(reader, { live: false }), ...byPolicies];
}

/** `namespace/name` of the objects that others delegate to: to have no hosts is right for them. */
function delegatesOf(objects: readonly MeshObject[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { kind, metadata, spec } of objects) {
    if (kind !== "VirtualService") continue;
    for (const { delegate } of (spec as VirtualServiceSpec).http ?? []) {
      if (delegate !== undefined) names.add(`${delegate.namespace ?? metadata.namespace}/${delegate.name}`);
    }
  }
  return names;
}

function questionOf(
  { paths, namespace, allNamespaces }: AnalyzeConfigurationOptions,
  objects: readonly MeshObject[],
) {
  return {
    objects: objects.flatMap((object) => {
      const slash = object.apiVersion.indexOf("/");
      const group = slash === -1 ? "" : object.apiVersion.slice(0, slash);
      const kind = findKind(group, object.kind);
      return kind === undefined ? [] : [toWire(kind, object, kind.storageVersion)];
    }),
    // With files and without -A, the question is about the files.
    all: paths.length === 0 || allNamespaces,
    namespace: allNamespaces ? "" : namespace,
  };
}

function summary(findings: readonly PlacedFinding[], files: number, live: boolean): string {
  const where = live ? "in the mesh" : `in ${files} object${files === 1 ? "" : "s"}`;
  if (findings.length === 0) return `tulle: nothing found ${where}`;
  const counts = (["Error", "Warning", "Info"] as const)
    .map((level) => [level, findings.filter((one) => one.level === level).length] as const)
    .filter(([, count]) => count > 0)
    .map(([level, count]) => `${count} ${level}`);
  return `tulle: ${counts.join(", ")} ${where}`;
}
