/**
 * Unit tests of mesh configuration in TypeScript, for any test runner:
 *
 * ```ts
 * const shop = await mesh({ files: ["config/"], services: [{ name: "reviews", port: 9080, versions: ["v1", "v2"] }] });
 * shop.request({ from: "frontend", url: "http://reviews:9080/", headers: { version: "v2" } })
 *   .expect({ route: "by-header", destination: { subset: "v2" } });
 * ```
 */
import type { MeshTestExpectation, MeshTestRequest, WrittenService } from "@tulle/api";
import { requestFrom, type Explanation } from "@tulle/engine";

import { checkExpectation, type Mismatch } from "../meshtest/check-expectation.js";
import { mismatchText } from "../meshtest/report-text.js";
import { parseCaller } from "../offline/explain-files.js";
import { OfflineMesh } from "../offline/offline-mesh.js";
import { readMesh } from "../offline/read-mesh.js";
import { explanationText } from "../output/explanation-text.js";
import { readSources, type SourceText } from "../resources/source-files.js";

export type { Explanation, MeshTestExpectation, MeshTestRequest, Mismatch, WrittenService };

export interface GivenMesh {
  /** Files and directories of configuration, relative to the working directory. */
  readonly files?: readonly string[];
  /** Configuration as text. */
  readonly yaml?: string;
  readonly services?: readonly WrittenService[];
  /** Of what names none; default `default`. */
  readonly namespace?: string;
}

/** A mesh that is in files only. */
export interface TestableMesh {
  /** What becomes of a request. Throws MeshError when it is not one. */
  request(request: MeshTestRequest): TestedRequest;
  /** What translation complains of, for the services that were called so far. */
  readonly warnings: readonly string[];
}

/** A request and its way. */
export interface TestedRequest {
  readonly explanation: Explanation;
  /** The explanation for people. */
  readonly text: string;
  /** What is not as expected; empty when all of it is so. */
  check(expectation: MeshTestExpectation): readonly Mismatch[];
  /** Throws an Error with what is different, and why, unless all is as expected. */
  expect(expectation: MeshTestExpectation): void;
}

/** Reads a mesh. Rejects with MeshError `invalid` when something in it is wrong, every problem in a line. */
export async function mesh(given: GivenMesh): Promise<TestableMesh> {
  const namespace = given.namespace ?? "default";
  const texts: SourceText[] = [];
  const options = { recursive: true, stdin: async () => "" };
  for await (const text of readSources(given.files ?? [], options)) texts.push(text);
  if (given.yaml !== undefined) texts.push({ source: "(yaml)", text: given.yaml });
  const written = readMesh(texts, namespace);
  const listed = (given.services ?? []).map((one) => ({ ...one, namespace: one.namespace ?? namespace }));
  const offline = new OfflineMesh({ objects: written.objects, services: [...written.services, ...listed] });
  return {
    request: (request) => tested(explain(offline, request, namespace)),
    get warnings() {
      return [...written.warnings, ...offline.warnings];
    },
  };
}

function explain(offline: OfflineMesh, request: MeshTestRequest, namespace: string): Explanation {
  const headers = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return offline.explain({
    from: parseCaller(request.from, namespace),
    namespace,
    request: requestFrom({ method: request.method ?? "GET", url: request.url, headers }),
    requestId: request.requestId,
  });
}

function tested(explanation: Explanation): TestedRequest {
  const check = (expectation: MeshTestExpectation): readonly Mismatch[] =>
    checkExpectation(explanation, expectation);
  return {
    explanation,
    get text() {
      return explanationText(explanation, { colors: false });
    },
    check,
    expect: (expectation) => {
      const mismatches = check(expectation);
      if (mismatches.length === 0) return;
      const lines = mismatches.map(mismatchText).join("\n");
      throw new Error(`${lines}\n\n${explanationText(explanation, { colors: false })}`);
    },
  };
}
