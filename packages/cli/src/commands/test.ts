import { writeFile } from "node:fs/promises";

import { MeshError, systemErrorCode } from "@tulle/base";
import type { Command } from "commander";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { outputOption, renderStructured } from "../output/format.js";

interface TestOptions {
  readonly coverage?: boolean;
  readonly junit?: string;
  readonly output: "text" | "json" | "junit";
}

const EXAMPLES = `
Runs the objects of kind MeshTest in files, and in directories those of files named *.test.yaml: what is given (files of
configuration, services), requests, and what must become of each. Decided by the code of a mesh that is up; nothing is
started and nothing is sent.

Exit codes: 1 when a test fails, 2 when there are none or a file cannot be read.

Examples:
  $ tulle test config/
  $ tulle test config/ --coverage --junit report.xml
  $ tulle test reviews.test.yaml -o json`;

/** What may be wrong with what the user wrote. */
const BAD_INPUT: ReadonlySet<string> = new Set(["CLI_NO_TESTS", "CLI_BAD_MESH", "CLI_FILE", "CLI_NO_FILE"]);

/** `tulle test`: unit tests of mesh configuration. */
export function registerTest(program: Command, context: CliContext, exit: (code: number) => void): void {
  program
    .command("test")
    .description("test configuration without a mesh: which way requests would go")
    .argument("<paths...>", "files and directories")
    .option("--coverage", "list the rules that no test reaches")
    .option("--junit <file>", "write a JUnit report to this file too")
    .addOption(outputOption(["text", "json", "junit"]))
    .addHelpText("after", EXAMPLES)
    .action(async (paths: readonly string[], options: TestOptions) => {
      try {
        exit(await test(paths, options, context));
      } catch (thrown) {
        if (!(thrown instanceof MeshError) || !BAD_INPUT.has(thrown.code)) throw thrown;
        context.err(`tulle: ${thrown.message}\n`);
        exit(EXIT.usage);
      }
    });
}

async function test(paths: readonly string[], options: TestOptions, context: CliContext): Promise<number> {
  const { runTests } = await import("../meshtest/run-tests.js");
  const report = await runTests(paths, context.clock);
  const { junitXml } = await import("../meshtest/junit.js");
  if (options.junit !== undefined) await write(options.junit, junitXml(report));
  switch (options.output) {
    case "json":
      context.out(await renderStructured("json", report));
      break;
    case "junit":
      context.out(junitXml(report));
      break;
    case "text": {
      const { reportText } = await import("../meshtest/report-text.js");
      context.out(reportText(report, { colors: context.colors, coverage: options.coverage === true }));
    }
  }
  return report.failed === 0 ? EXIT.ok : EXIT.failed;
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    const message = `cannot write ${file}: ${systemErrorCode(cause) ?? String(cause)}`;
    throw new MeshError("invalid", "CLI_FILE", message, { cause });
  }
}
