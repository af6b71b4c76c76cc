import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { TestReport } from "../meshtest/run-tests.js";
import { golden, runTulle } from "./testdata/harness.js";

const TESTDATA = fileURLToPath(new URL("./testdata/", import.meta.url));
const SHOP = fileURLToPath(new URL("../../../../examples/shop/", import.meta.url));

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** What differs from run to run and place to place is replaced. */
function stable(text: string): string {
  return text
    .replaceAll(TESTDATA, "")
    .replaceAll(/\d+ ms$/gm, "N ms")
    .replaceAll(/time="[\d.]+"/g, 'time="N"');
}

test("tulle test says what is not as expected, with the explanation", async () => {
  const { code, out } = await runTulle(["test", `${TESTDATA}split.test.yaml`, "--coverage"]);
  expect(code).toBe(1);
  const { actual, expected } = golden("test-report", stable(out));
  expect(actual).toBe(expected);
});

test("tulle test writes a JUnit report, and JSON", async () => {
  const file = join(directory, "report.xml");
  const words = ["test", `${TESTDATA}split.test.yaml`];
  const { out } = await runTulle([...words, "-o", "junit", "--junit", file]);
  const written = await readFile(file, "utf8");
  expect(stable(written)).toBe(stable(out));
  const { actual, expected } = golden("test-junit", stable(out));
  expect(actual).toBe(expected);
  const report = JSON.parse((await runTulle([...words, "-o", "json"])).out) as TestReport;
  expect(report).toMatchObject({ passed: 1, failed: 1, suites: [{ name: "split", cases: [{}, {}] }] });
});

test("the shop's own tests pass and reach every rule", async () => {
  const { code, out, err } = await runTulle(["test", SHOP, "-o", "json"]);
  const report = JSON.parse(out) as TestReport;
  const wrong = report.suites.flatMap(({ cases }) => cases.filter(({ mismatches }) => mismatches.length > 0));
  expect([code, err, wrong]).toEqual([0, "", []]);
  expect(report.passed).toBeGreaterThanOrEqual(16);
  expect(report.rules.filter(({ reached }) => !reached)).toEqual([]);
});

test("tulle test expects what policies let through and refuse", async () => {
  const { out } = await runTulle(["test", `${TESTDATA}authorization.test.yaml`, "-o", "json"]);
  const { suites } = JSON.parse(out) as TestReport;
  expect(suites.flatMap(({ cases }) => cases.map(({ name, mismatches }) => [name, mismatches]))).toEqual([
    ["readers", []],
    ["deletes", []],
    ["others", [{ path: "result", expected: '"forward"', actual: '"denied"' }]],
  ]);
});

async function written(text: string): Promise<string> {
  const file = join(directory, "one.test.yaml");
  await writeFile(file, text);
  return file;
}

const CASE = "metadata: {name: x}\nspec:\n  cases:\n";

test.each([
  [
    "spec: {cases: [{name: a, when: {from: a}, expect: {}}]}\nmetadata: {name: x}",
    "spec.cases[0].when.url: is required",
  ],
  [`${CASE}  - {name: a, when: {from: a, url: "http:///"}, expect: {}}`, "one.test.yaml:6:"],
  [`${CASE}  - {name: a, when: {from: a/b, url: a}, expect: {}}`, "is not a service or gateway"],
  [`${CASE}  - {name: a, when: {from: a, url: a}, expect: {split: {v1: ten}}}`, "expected a share"],
  [`${CASE}  - {name: a, when: {from: a, url: a}, expect: {rout: x}}`, "rout"],
  ["spec: {cases: [], given: {files: [nowhere]}}\nmetadata: {name: x}", "there is no file or directory"],
])("tulle test exits with 2 where a test cannot be read: %j", async (text, message) => {
  const file = await written(`apiVersion: tulle.dev/v1\nkind: MeshTest\n${text}\n`);
  const { code, err } = await runTulle(["test", file]);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});

test("tulle test exits with 2 where there are no tests", async () => {
  const { code, err } = await runTulle(["test", `${TESTDATA}canary.yaml`]);
  expect([code, err]).toEqual([2, expect.stringContaining("no tests in")]);
});
