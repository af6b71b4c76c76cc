import { Command } from "commander";
import fc from "fast-check";
import { expect, test } from "vitest";

import { readCommandWords } from "./command-words.js";

function program(): Command {
  const tulle = new Command("tulle").option("-v, --verbose");
  tulle.command("get").option("-o, --output <format>").option("-w, --watch").option("--server <url>");
  return tulle;
}

test("readCommandWords tells operands from options and their values", () => {
  const line = readCommandWords(program(), [
    "-v",
    "get",
    "vs",
    "-o",
    "json",
    "-w",
    "--server=http://a=b",
    "reviews",
  ]);
  expect(line.command?.name()).toBe("get");
  expect(line.operands).toEqual(["vs", "reviews"]);
  expect([...line.values]).toEqual([
    ["--output", "json"],
    ["--server", "http://a=b"],
  ]);
  expect([line.open, line.foreign]).toEqual([undefined, false]);
});

test("readCommandWords knows the option that waits for its value, and where another program's words begin", () => {
  expect(readCommandWords(program(), ["get", "-o"]).open?.long).toBe("--output");
  const foreign = readCommandWords(program(), ["get", "vs", "--", "-o", "json"]);
  expect([foreign.foreign, foreign.operands, foreign.values.size]).toEqual([true, ["vs"], 0]);
});

test("readCommandWords takes whatever somebody types", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom("get", "-o", "--", "-", "--output", "--output=", "=", "--server"),
  );
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const line = readCommandWords(program(), words);
      expect(words).toEqual(expect.arrayContaining([...line.operands]));
    }),
  );
});
