import {
  apiVersionOf,
  checkMetadata,
  formatProblem,
  meshServicesKind,
  meshTestKind,
  OFFLINE_KINDS,
  parseObjects,
  type MeshObject,
  type MeshServicesSpec,
  type MeshTestSpec,
  type SourceObject,
  type SourcePosition,
  type SourceProblem,
  type WrittenService,
} from "@tulle/api";
import { MeshError } from "@tulle/base";

import type { SourceText } from "../resources/source-files.js";

/** An object of files, and where it is written. */
export interface WrittenMeshObject {
  readonly object: MeshObject;
  /** Where a path (`spec.http[0]`) of it stands. */
  readonly at: (path: string) => SourcePosition;
}

export interface WrittenMeshTest {
  readonly name: string;
  readonly spec: MeshTestSpec;
  readonly namespace: string;
  readonly source: string;
  readonly at: (path: string) => SourcePosition;
}

/** What files hold of a mesh. */
export interface WrittenMesh {
  /** In the order of the files. */
  readonly objects: readonly WrittenMeshObject[];
  /** With their namespaces. */
  readonly services: readonly WrittenService[];
  readonly tests: readonly WrittenMeshTest[];
  readonly warnings: readonly string[];
}

/**
 * Reads a mesh from texts, checked as the control plane checks it. Throws MeshError `invalid` CLI_BAD_MESH with every
 * problem, a line each.
 */
export function readMesh(texts: readonly SourceText[], namespace = "default"): WrittenMesh {
  const objects: WrittenMeshObject[] = [];
  const services: WrittenService[] = [];
  const tests: WrittenMeshTest[] = [];
  const problems: SourceProblem[] = [];
  const warnings: string[] = [];
  for (const { source, text } of texts) {
    const parsed = parseObjects(text, source, OFFLINE_KINDS);
    problems.push(...parsed.problems);
    for (const written of parsed.objects) {
      const { kind } = written;
      const at = (path: string): SourcePosition => written.at(path);
      const checked = check(written, namespace);
      problems.push(...checked.problems);
      warnings.push(...checked.warnings.map((message) => formatProblem({ ...at(""), message })));
      const { object } = checked;
      if (object === undefined) continue;
      if (kind === meshServicesKind) {
        const { services: listed } = object.spec as MeshServicesSpec;
        services.push(
          ...listed.map((one) => ({ ...one, namespace: one.namespace ?? object.metadata.namespace })),
        );
      } else if (kind === meshTestKind) {
        const { namespace: own, name } = object.metadata;
        tests.push({ name, spec: object.spec as MeshTestSpec, namespace: own, source, at });
      } else objects.push({ object: aged(object, objects.length), at });
    }
  }
  if (problems.length > 0) {
    throw new MeshError("invalid", "CLI_BAD_MESH", problems.map(formatProblem).join("\n"));
  }
  return { objects, services, tests, warnings };
}

interface CheckedSource {
  readonly object: MeshObject | undefined;
  readonly problems: readonly SourceProblem[];
  readonly warnings: readonly string[];
}

function check(written: SourceObject, namespace: string): CheckedSource {
  const { object, kind, version } = written;
  const metadata = checkMetadata(kind, object["metadata"], { namespace });
  const content = kind.check({ ...object, apiVersion: apiVersionOf(kind.group, version), kind: kind.kind });
  const violations = [...(metadata.ok ? [] : metadata.violations), ...(content.ok ? [] : content.violations)];
  const problems = violations.map(({ path, message }) => ({
    ...written.at(path),
    message: `${path}: ${message}`,
  }));
  if (!metadata.ok || !content.ok) return { object: undefined, problems, warnings: content.warnings };
  const { name, namespace: own, labels, annotations } = metadata.metadata;
  const checked: MeshObject = {
    apiVersion: apiVersionOf(kind.group, kind.storageVersion),
    kind: kind.kind,
    metadata: {
      name,
      namespace: own,
      uid: "",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "",
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: content.spec,
    ...(content.extra === undefined ? {} : { extra: content.extra }),
  };
  return { object: checked, problems, warnings: content.warnings };
}

/** What comes first in the files is the oldest: of objects that contradict each other the oldest wins. */
function aged(object: MeshObject, position: number): MeshObject {
  const creationTimestamp = new Date(position * 1000).toISOString();
  return { ...object, metadata: { ...object.metadata, creationTimestamp } };
}
