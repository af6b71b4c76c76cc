#!/usr/bin/env node
// Refuses a docs/features.md that contradicts itself: an id that occurs twice, a status that is none of the four forms, or a
// count in the summary that is not the number of rows. Whether a status is true is for people to judge.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const PAGE = "docs/features.md";
const FORMS = ["none", "partial", "done", "tested"];
const SUMMARY = "Summary";
const SUMMARY_HEADER = ["Group", ...FORMS, "All"].join(" | ");
const GROUP_HEADER = "ID | Feature | Status | Note";

const problems = [];
const { groups, summary } = read(readFileSync(fileURLToPath(new URL(`../${PAGE}`, import.meta.url)), "utf8"));

const ids = new Map();
const expected = new Map();
const all = emptyCounts();
for (const [group, rows] of groups) {
  const counts = emptyCounts();
  for (const { line, cells } of rows) {
    const [id = "", feature = "", status = ""] = cells;
    if (!/^[A-Z][A-Z0-9]*-?\d+$/.test(id)) fail(line, `${JSON.stringify(id)} is no id`);
    if (ids.has(id)) fail(line, `${id} occurs before, on line ${ids.get(id)}`);
    ids.set(id, line);
    if (feature === "") fail(line, `${id} has no feature`);
    const form = formOf(status);
    if (form === undefined) {
      fail(
        line,
        `${id}: status ${JSON.stringify(status)} is not none, partial, done or tested against <peer>`,
      );
    } else {
      counts[form]++;
      all[form]++;
    }
  }
  expected.set(group, countsText(counts));
}
expected.set("All", countsText(all));

const counted = new Set();
for (const { line, cells } of summary) {
  const [group = "", ...counts] = cells.map((cell) => cell.replaceAll("**", ""));
  const right = expected.get(group);
  if (counted.has(group)) fail(line, `the summary has ${group} twice`);
  counted.add(group);
  if (right === undefined) fail(line, `the summary has a group ${JSON.stringify(group)}, the page has not`);
  else if (counts.join(" | ") !== right) fail(line, `${group} should be | ${right} |`);
}
for (const group of expected.keys()) if (!counted.has(group)) fail(1, `the summary lacks ${group}`);
if (ids.size < 100) fail(1, `only ${ids.size} rows were found: the check itself is broken`);

if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n`);
  process.exit(1);
}
process.stdout.write(`features: ${ids.size} rows checked\n`);

function fail(line, message) {
  problems.push(`${PAGE}:${line}: ${message}`);
}

function emptyCounts() {
  return Object.fromEntries(FORMS.map((form) => [form, 0]));
}

function countsText(counts) {
  const numbers = FORMS.map((form) => counts[form]);
  return [...numbers, numbers.reduce((sum, count) => sum + count, 0)].join(" | ");
}

function formOf(status) {
  if (/^tested against \S.*$/.test(status)) return "tested";
  return status !== "tested" && FORMS.includes(status) ? status : undefined;
}

/** The rows of every section's table by the section's heading, and those of the summary. Cells are trimmed. */
function read(text) {
  const tables = new Map();
  let heading = "";
  let header = "";
  text.split("\n").forEach((written, index) => {
    const line = index + 1;
    const title = /^#+ (.*)$/.exec(written);
    if (title !== null) {
      heading = title[1].trim();
      header = "";
      return;
    }
    if (!written.startsWith("|")) {
      header = "";
      return;
    }
    const cells = written
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (header === "") {
      header = cells.join(" | ");
      const wanted = heading === SUMMARY ? SUMMARY_HEADER : GROUP_HEADER;
      if (header !== wanted) fail(line, `the columns of ${heading} should be ${wanted}`);
      if (tables.has(heading)) fail(line, `${heading} has a second table`);
      else tables.set(heading, []);
    } else if (cells.length !== header.split(" | ").length) {
      fail(line, `this row has ${cells.length} cells, its header ${header.split(" | ").length}`);
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) {
      tables.get(heading)?.push({ line, cells });
    }
  });
  const summary = tables.get(SUMMARY) ?? [];
  tables.delete(SUMMARY);
  return { groups: tables, summary };
}
