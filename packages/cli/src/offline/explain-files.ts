import { MeshError } from "@tulle/base";
import { requestFrom, type Explanation } from "@tulle/engine";

import { readSources, type SourceFileOptions, type SourceText } from "../resources/source-files.js";
import { OfflineMesh, type Caller } from "./offline-mesh.js";
import { readMesh } from "./read-mesh.js";

export interface FilesQuestion {
  readonly filenames: readonly string[];
  /** Of objects that name none, and of a caller without one. */
  readonly namespace: string;
  /** `frontend` or `frontend.shop`. */
  readonly from: string | undefined;
  /** The gateway that it comes to, in the same form; not together with `from`. */
  readonly gateway?: string | undefined;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly requestId: string | undefined;
}

export interface FilesAnswer {
  readonly explanation: Explanation;
  readonly warnings: readonly string[];
}

/** What would become of a request in a mesh that has this configuration and these services. */
export async function explainFiles(
  question: FilesQuestion,
  options: SourceFileOptions,
): Promise<FilesAnswer> {
  const texts: SourceText[] = [];
  for await (const text of readSources(question.filenames, options)) texts.push(text);
  const written = readMesh(texts, question.namespace);
  const mesh = new OfflineMesh(written);
  const named = (text: string | undefined): Caller | undefined =>
    text === undefined ? undefined : parseCaller(text, question.namespace);
  const from = named(question.from);
  const explanation = mesh.explain({
    from,
    gateway: named(question.gateway),
    namespace: question.namespace,
    request: requestFrom(question),
    requestId: question.requestId,
  });
  const unknown =
    from === undefined || mesh.has(from)
      ? []
      : [`no service ${from.namespace}/${from.service} in the files: nothing is known of its labels`];
  return { explanation, warnings: [...written.warnings, ...mesh.warnings, ...unknown] };
}

/** Reads `frontend` or `frontend.shop`. */
export function parseCaller(text: string, namespace: string): Caller {
  const match = /^([a-z0-9_-]+)(?:\.([a-z0-9-]+))?$/i.exec(text);
  if (match === null) {
    const message = `${JSON.stringify(text)} is not a service or gateway: write NAME or NAME.NAMESPACE`;
    throw new MeshError("invalid", "CLI_BAD_CALLER", message);
  }
  return { service: match[1] ?? "", namespace: match[2] ?? namespace };
}
