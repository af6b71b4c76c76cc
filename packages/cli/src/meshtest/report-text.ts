import pc from "picocolors";

import { explanationText } from "../output/explanation-text.js";
import { terminalText } from "../output/terminal-text.js";
import type { Mismatch } from "./check-expectation.js";
import type { CaseResult, SuiteResult, TestReport } from "./run-tests.js";

export interface ReportOptions {
  readonly colors: boolean;
  /** List rules that no test reaches. */
  readonly coverage: boolean;
}

/** A report for people: every test in a line, failures with what is different and why. */
export function reportText(report: TestReport, options: ReportOptions): string {
  const paint = pc.createColors(options.colors);
  const lines = report.suites.flatMap((suite) => suiteLines(suite, options));
  const { passed, failed, rules } = report;
  const counts = [
    paint.green(`${passed} passed`),
    ...(failed === 0 ? [] : [paint.red(`${failed} failed`)]),
    `${report.durationMs.toFixed(0)} ms`,
  ];
  lines.push("", counts.join(", "));
  if (rules.length > 0) {
    const missed = rules.filter(({ reached }) => !reached);
    lines.push(`${rules.length - missed.length} of ${rules.length} rules reached`);
    if (options.coverage) {
      for (const { kind, namespace, name, rule, source } of missed)
        lines.push(`  ${source}  ${kind} ${namespace}/${name} ${rule}: no test reaches it`);
    } else if (missed.length > 0) lines[lines.length - 1] += " (--coverage lists the others)";
  }
  return `${lines.join("\n")}\n`;
}

/** `split.v2: expected 10%, got 20%` */
export function mismatchText({ path, expected, actual }: Mismatch): string {
  return terminalText(`${path}: expected ${expected}, got ${actual}`);
}

function suiteLines({ file, name, cases, warnings }: SuiteResult, options: ReportOptions): readonly string[] {
  return [
    terminalText(`${file}  ${name}`),
    ...warnings.map((warning) => `  warning: ${terminalText(warning)}`),
    ...cases.flatMap((one) => caseLines(one, options)),
  ];
}

function caseLines(
  { name, source, mismatches, explanation }: CaseResult,
  options: ReportOptions,
): readonly string[] {
  const paint = pc.createColors(options.colors);
  if (mismatches.length === 0) return [`  ${paint.green("✓")} ${terminalText(name)}`];
  const why = explanationText(explanation, options).trimEnd().split("\n");
  return [
    `  ${paint.red("✗")} ${terminalText(name)}  (${terminalText(source)})`,
    ...mismatches.map((mismatch) => `      ${mismatchText(mismatch)}`),
    "",
    ...why.map((line) => (line === "" ? "" : `      ${line}`)),
    "",
  ];
}
