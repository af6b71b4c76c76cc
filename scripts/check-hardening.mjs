// Keeps docs/hardening.md true: every class of hostile input has a test that names it, and those listed there do. `--write`
// fills in where.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DOCUMENT = `${ROOT}docs/hardening.md`;
const FOLDERS = [
  "packages/http/src",
  "packages/proxy/src",
  "packages/proxy/test",
  "packages/engine/src",
  "packages/translate/src",
  "e2e",
];

const WRITE = process.argv.includes("--write");

const wanted = [...ids("H1", 30), ...ids("H2", 18), ...ids("D", 13), ...ids("AZ", 14)];
const found = new Map(wanted.map((id) => [id, new Set()]));
for (const folder of FOLDERS) {
  for (const entry of readdirSync(`${ROOT}${folder}`, { recursive: true })) {
    const name = String(entry);
    if (!/\.test\.ts$|(?:^|[\\/])testing[\\/].*\.ts$/.test(name)) continue;
    const text = readFileSync(`${ROOT}${folder}/${name}`, "utf8");
    // In the name of a test or of a row of a table of cases: within quotes.
    for (const [quoted] of text.matchAll(/["'`][^"'`\n]*\b(?:H1|H2|D|AZ)-\d\d\b[^"'`\n]*/g)) {
      for (const [id] of quoted.matchAll(/\b(?:H1|H2|D|AZ)-\d\d\b/g)) found.get(id)?.add(`${folder}/${name}`);
    }
  }
}

const problems = [];
const lines = readFileSync(DOCUMENT, "utf8").split("\n");
const listed = new Set();
const written = lines.map((line) => {
  const match = /^\| ((?:H1|H2|D|AZ)-\d\d) \| (.*) \| (.*) \|([^|]*)\|$/.exec(line);
  if (match === null) return line;
  const [, id, what, verdict, named = ""] = match;
  listed.add(id);
  const tests = [...(found.get(id) ?? [])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((path) => `\`${path.replace(/^packages\//, "")}\``);
  for (const test of named.split(", ").map((text) => text.trim())) {
    if (!tests.includes(test) && !WRITE)
      problems.push(`docs/hardening.md: ${test || "nothing"} does not name ${id}`);
  }
  return `| ${id} | ${what} | ${verdict} | ${tests.join(", ")} |`;
});
for (const id of wanted) {
  if (!listed.has(id)) problems.push(`docs/hardening.md has no row for ${id}`);
  if (found.get(id).size === 0) problems.push(`no test names ${id}`);
}
if (WRITE) writeFileSync(DOCUMENT, written.join("\n"));
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(`hardening: ${wanted.length} classes, ${problems.length} problems\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function ids(prefix, count) {
  return Array.from({ length: count }, (_, i) => `${prefix}-${String(i + 1).padStart(2, "0")}`);
}
