import { formatProblem, type MeshTestCase, type WrittenService } from "@tulle/api";
import { MeshError, type Clock } from "@tulle/base";
import { requestFrom, type Explanation } from "@tulle/engine";
import { dirname, join } from "node:path";

import { parseCaller } from "../offline/explain-files.js";
import { OfflineMesh } from "../offline/offline-mesh.js";
import {
  readMesh,
  type WrittenMesh,
  type WrittenMeshObject,
  type WrittenMeshTest,
} from "../offline/read-mesh.js";
import { readSources, type SourceText } from "../resources/source-files.js";
import { checkExpectation, type Mismatch } from "./check-expectation.js";
import { Coverage, type RuleCoverage } from "./coverage.js";

export interface CaseResult {
  readonly name: string;
  /** `reviews.test.yaml:31` */
  readonly source: string;
  readonly mismatches: readonly Mismatch[];
  readonly explanation: Explanation;
  readonly durationMs: number;
}

export interface SuiteResult {
  /** The MeshTest's name. */
  readonly name: string;
  readonly file: string;
  readonly cases: readonly CaseResult[];
  readonly warnings: readonly string[];
}

export interface TestReport {
  readonly suites: readonly SuiteResult[];
  readonly passed: number;
  readonly failed: number;
  /** Reading and translating included. */
  readonly durationMs: number;
  readonly rules: readonly RuleCoverage[];
}

const TEST_FILE = /\.test\.(?:ya?ml|json)$/;

/**
 * Runs the tests in files, and in directories those of files that end in `.test.yaml`. Nothing is started: services are
 * what the tests say. `invalid` CLI_NO_TESTS, CLI_BAD_MESH.
 */
export async function runTests(names: readonly string[], clock: Clock): Promise<TestReport> {
  const start = clock.monotonic();
  const coverage = new Coverage();
  const given = new GivenMeshes();
  const suites: SuiteResult[] = [];
  for (const text of await testFiles(names)) {
    const written = readMesh([text]);
    for (const test of written.tests)
      suites.push(runSuite(test, await given.of(test, written), coverage, clock));
  }
  if (suites.length === 0) {
    const message = `no tests in ${names.join(", ")}: expected objects of kind MeshTest in files named *.test.yaml`;
    throw new MeshError("invalid", "CLI_NO_TESTS", message);
  }
  const cases = suites.flatMap((suite) => suite.cases);
  const failed = cases.filter(({ mismatches }) => mismatches.length > 0).length;
  const durationMs = clock.monotonic() - start;
  return { suites, passed: cases.length - failed, failed, durationMs, rules: coverage.rules() };
}

async function testFiles(names: readonly string[]): Promise<readonly SourceText[]> {
  const texts: SourceText[] = [];
  for (const name of names) {
    for (const text of await read([name]))
      if (text.source === name || TEST_FILE.test(text.source)) texts.push(text);
  }
  return texts;
}

async function read(names: readonly string[]): Promise<readonly SourceText[]> {
  const texts: SourceText[] = [];
  const options = { recursive: true, stdin: async () => "" };
  for await (const text of readSources(names, options)) texts.push(text);
  return texts;
}

/** A mesh that tests are about. */
interface Given {
  readonly mesh: OfflineMesh;
  readonly objects: readonly WrittenMeshObject[];
  readonly warnings: readonly string[];
}

/** What tests are given: those that name the same files and services share one mesh. */
class GivenMeshes {
  readonly #made = new Map<string, Given>();

  /** `own`: what stands in the test's own file. */
  async of({ spec: { given }, source, namespace }: WrittenMeshTest, own: WrittenMesh): Promise<Given> {
    const files = (given?.files ?? []).map((file) => join(dirname(source), file));
    const isOwn = own.objects.length + own.services.length > 0;
    const key = JSON.stringify([files, given?.services, namespace, isOwn ? source : ""]);
    let made = this.#made.get(key);
    if (made === undefined) {
      made = await readGiven(files, given?.services ?? [], namespace, own);
      this.#made.set(key, made);
    }
    return made;
  }
}

async function readGiven(
  files: readonly string[],
  services: readonly WrittenService[],
  namespace: string,
  own: WrittenMesh,
): Promise<Given> {
  // A directory of configuration may hold its tests, too.
  const texts = (await read(files)).filter(({ source }) => files.includes(source) || !TEST_FILE.test(source));
  const others = readMesh(texts, namespace);
  const objects = [...others.objects, ...own.objects];
  const listed = services.map((one) => ({ ...one, namespace: one.namespace ?? namespace }));
  const mesh = new OfflineMesh({ objects, services: [...others.services, ...own.services, ...listed] });
  return { mesh, objects, warnings: others.warnings };
}

function runSuite(
  test: WrittenMeshTest,
  { mesh, objects, warnings }: Given,
  coverage: Coverage,
  clock: Clock,
): SuiteResult {
  coverage.expect(objects);
  const cases = test.spec.cases.map((one, index): CaseResult => {
    const start = clock.monotonic();
    const { source, line } = test.at(`spec.cases[${index}]`);
    const explanation = explainCase(mesh, one, test, index);
    coverage.note(explanation);
    return {
      name: one.name,
      source: `${source}:${line}`,
      mismatches: checkExpectation(explanation, one.expect),
      explanation,
      durationMs: clock.monotonic() - start,
    };
  });
  return { name: test.name, file: test.source, cases, warnings: [...warnings, ...mesh.warnings] };
}

function explainCase(
  mesh: OfflineMesh,
  { when }: MeshTestCase,
  test: WrittenMeshTest,
  index: number,
): Explanation {
  try {
    return mesh.explain({
      from: parseCaller(when.from, test.namespace),
      namespace: test.namespace,
      request: requestFrom({
        method: when.method ?? "GET",
        url: when.url,
        headers: Object.entries(when.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
      }),
      requestId: when.requestId,
    });
  } catch (thrown) {
    if (!(thrown instanceof MeshError)) throw thrown;
    const message = formatProblem({ ...test.at(`spec.cases[${index}].when`), message: thrown.message });
    throw new MeshError("invalid", "CLI_BAD_MESH", message, { cause: thrown });
  }
}
