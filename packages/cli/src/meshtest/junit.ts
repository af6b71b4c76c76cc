import { explanationText } from "../output/explanation-text.js";
import { mismatchText } from "./report-text.js";
import type { CaseResult, SuiteResult, TestReport } from "./run-tests.js";

/** A report in JUnit's XML, as CI systems read it. */
export function junitXml({ suites, passed, failed, durationMs }: TestReport): string {
  const counts = `tests="${passed + failed}" failures="${failed}" time="${seconds(durationMs)}"`;
  const inner = suites.map(suiteXml).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="tulle test" ${counts}>\n${inner}</testsuites>\n`;
}

function suiteXml({ name, file, cases }: SuiteResult): string {
  const failures = cases.filter(({ mismatches }) => mismatches.length > 0).length;
  const attributes = `name="${escape(name)}" file="${escape(file)}" tests="${cases.length}" failures="${failures}"`;
  return `  <testsuite ${attributes}>\n${cases.map((one) => caseXml(one, file)).join("")}  </testsuite>\n`;
}

function caseXml({ name, mismatches, explanation, durationMs }: CaseResult, file: string): string {
  const attributes = `name="${escape(name)}" classname="${escape(file)}" time="${seconds(durationMs)}"`;
  if (mismatches.length === 0) return `    <testcase ${attributes}/>\n`;
  const texts = mismatches.map(mismatchText);
  const detail = `${texts.join("\n")}\n\n${explanationText(explanation, { colors: false })}`;
  const failure = `<failure message="${escape(texts.join("; "))}">${escape(detail)}</failure>`;
  return `    <testcase ${attributes}>\n      ${failure}\n    </testcase>\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(6);
}

/** XML 1.0 has no way to write most control characters: they become spaces. */
function escape(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- control characters are what this removes
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, " ")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("\n", "&#10;")
  );
}
