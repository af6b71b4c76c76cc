import {
  ANALYSIS_CODES,
  checkMetadata,
  finding,
  formatProblem,
  objectText,
  parseObjects,
  suppresses,
  apiVersionOf,
  meshServicesKind,
  meshTestKind,
  OFFLINE_KINDS,
  type Finding,
  type FindingCode,
  type MeshObject,
  type ObjectKey,
  type SourceObject,
  type SourcePosition,
  type SourceProblem,
} from "@tulle/api";

/** A finding with where it stands. Of a text that cannot be read, no object is known. */
export interface PlacedFinding extends Omit<Finding, "object"> {
  readonly object: ObjectKey | undefined;
  readonly position: SourcePosition | undefined;
}

/** What files hold: the objects that are valid, and what is wrong with the rest. */
export interface WrittenConfiguration {
  readonly objects: readonly MeshObject[];
  readonly findings: readonly PlacedFinding[];
  /** Where a field of an object stands; undefined for objects that no file has. */
  locate(object: ObjectKey, path: string): SourcePosition | undefined;
}

/** Groups whose kinds Tulle would have to know. */
const MESH_GROUP = /(?:^|\.)(?:istio\.io|gateway\.networking\.k8s\.io|tulle\.dev)$/;

/** Reads objects and finds what their kinds' checks find. `namespace`: of objects that name none. */
export class WrittenFindings implements WrittenConfiguration {
  readonly objects: MeshObject[] = [];
  readonly findings: PlacedFinding[] = [];
  readonly #namespace: string;
  readonly #sources = new Map<string, SourceObject>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  read(text: string, source: string): void {
    const { objects, problems } = parseObjects(text, source, OFFLINE_KINDS);
    for (const problem of problems) this.#problem(problem);
    for (const object of objects) this.#object(object);
  }

  locate(object: ObjectKey, path: string): SourcePosition | undefined {
    return this.#sources.get(textOf(object))?.at(path);
  }

  #problem({ message, unknownKind, ...position }: SourceProblem): void {
    const code: FindingCode =
      unknownKind === undefined ? "IST0106" : MESH_GROUP.test(unknownKind) ? "TUL0001" : "TUL0007";
    const { name, level, remedy } = ANALYSIS_CODES[code];
    this.findings.push({ code, name, level, remedy, object: undefined, path: "", message, position });
  }

  #object(source: SourceObject): void {
    const { kind, object: raw } = source;
    const metadata = checkMetadata(kind, raw["metadata"], { namespace: this.#namespace });
    const content = kind.check(raw);
    const key: ObjectKey = {
      group: kind.group,
      kind: kind.kind,
      namespace: metadata.ok ? metadata.metadata.namespace : "",
      name: metadata.ok ? metadata.metadata.name : "",
    };
    const annotations = metadata.ok ? metadata.metadata.annotations : undefined;
    const add = (code: FindingCode, path: string, message: string): void => {
      if (annotations !== undefined && suppresses({ metadata: { ...EMPTY, annotations } }, code)) return;
      this.findings.push({ ...finding(code, key, path, message), position: source.at(path) });
    };
    for (const violations of [metadata.ok ? [] : metadata.violations, content.ok ? [] : content.violations]) {
      for (const { path, message } of violations) add("IST0106", path, message);
    }
    for (const warning of content.warnings) {
      const path = /^spec(?:\.[A-Za-z_][\w-]*|\[\d+\])*/.exec(warning)?.[0] ?? "";
      const message = warning.slice(path.length).trim();
      add(warning.includes("deprecated") ? "IST0002" : "IST0133", path, message);
    }
    if (!metadata.ok || !content.ok) return;
    const before = this.#sources.get(textOf(key));
    if (before !== undefined) {
      const first = formatProblem({ ...before, message: "" }).slice(0, -2);
      add("IST0106", "", `is written twice, first at ${first}: only one of the two can be applied`);
      return;
    }
    this.#sources.set(textOf(key), source);
    // Only `tulle test` and `tulle explain` read them: nothing of the mesh depends on them.
    if (kind === meshTestKind || kind === meshServicesKind) return;
    const { name, namespace, labels } = metadata.metadata;
    this.objects.push({
      apiVersion: apiVersionOf(kind.group, kind.storageVersion),
      kind: kind.kind,
      metadata: {
        ...EMPTY,
        name,
        namespace,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
      },
      spec: content.spec,
      ...(content.extra === undefined ? {} : { extra: content.extra }),
    });
  }
}

const EMPTY = {
  name: "",
  namespace: "",
  uid: "",
  resourceVersion: "",
  generation: 1,
  // Of objects that nobody has applied none is older than another: their names decide.
  creationTimestamp: "",
};

function textOf(key: ObjectKey): string {
  return `${key.group} ${objectText(key)}`;
}
