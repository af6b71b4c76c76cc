import { expect, test } from "vitest";

import { showsColors } from "./context.js";

test.each([
  ["a terminal", { isTTY: true }, {}, true],
  ["a terminal, and an empty NO_COLOR", { isTTY: true }, { NO_COLOR: "" }, true],
  ["a terminal, and NO_COLOR", { isTTY: true }, { NO_COLOR: "1" }, false],
  ["a pipe", {}, {}, false],
  // What paints must be told no, not nothing: left to itself it takes CI for a terminal.
  ["a pipe in CI", {}, { CI: "true" }, false],
])("colours for %s", (_, stdout, environment, expected) => {
  expect(showsColors(stdout, environment)).toBe(expected);
});
