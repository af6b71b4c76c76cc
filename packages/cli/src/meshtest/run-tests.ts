import { formatProblem, type MeshTestCase } from "@tulle/api";
import { MeshError, type Clock } from "@tulle/base";
import { requestFrom, type Explanation } from "@tulle/engine";
import { dirname, join } from "node:path";

import { parseCaller } from "../offline/explain-files.js";
import { OfflineMesh } from "../offline/offline-mesh.js";
import { readMesh, type WrittenMesh, type WrittenMeshTest } from "../offline/read-mesh.js";
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
  const suites: SuiteResult[] = [];
  for (const text of await testFiles(names)) {
    const written = readMesh([text]);
    for (const test of written.tests) suites.push(await runSuite(test, written, coverage, clock));
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

async function runSuite(
  test: WrittenMeshTest,
  own: WrittenMesh,
  coverage: Coverage,
  clock: Clock,
): Promise<SuiteResult> {
  const { given } = test.spec;
  const files = (given?.files ?? []).map((file) => join(dirname(test.source), file));
  // A directory of configuration may hold its tests, too.
  const texts = (await read(files)).filter(({ source }) => files.includes(source) || !TEST_FILE.test(source));
  const others = readMesh(texts, test.namespace);
  const objects = [...others.objects, ...own.objects];
  const listed = (given?.services ?? []).map((one) => ({
    ...one,
    namespace: one.namespace ?? test.namespace,
  }));
  const mesh = new OfflineMesh({ objects, services: [...others.services, ...own.services, ...listed] });
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
  return { name: test.name, file: test.source, cases, warnings: [...others.warnings, ...mesh.warnings] };
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
