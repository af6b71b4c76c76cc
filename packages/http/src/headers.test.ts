import { expect, test } from "vitest";
import { getHeader, hasToken, joinHeader, listHasToken, splitList, trimSpace } from "./headers.js";

const HEADERS = ["Host", "a", "Via", "1", "x-empty", "", "VIA", "2, Three", "__proto__", "p"];

test("getHeader finds the first field whatever its spelling", () => {
  expect(getHeader(HEADERS, "via")).toBe("1");
  expect(getHeader(HEADERS, "x-empty")).toBe("");
  expect(getHeader(HEADERS, "__proto__")).toBe("p");
  expect(getHeader(HEADERS, "constructor")).toBeUndefined();
});

test("joinHeader joins repeated fields in order", () => {
  expect(joinHeader(HEADERS, "via")).toBe("1, 2, Three");
  expect(joinHeader(HEADERS, "none")).toBeUndefined();
});

test("hasToken looks into every field of the name, and at whole members only", () => {
  expect(hasToken(HEADERS, "via", "three")).toBe(true);
  expect(hasToken(HEADERS, "via", "thre")).toBe(false);
  expect(listHasToken("Keep-Alive ,\tUpgrade", "upgrade")).toBe(true);
  expect(listHasToken("upgraded", "upgrade")).toBe(false);
});

test("splitList and trimSpace cut SP and HTAB, and nothing else", () => {
  expect(splitList(" a ,, \tb\t,")).toEqual(["a", "b"]);
  expect(trimSpace(" \u00a0a\u000b ")).toBe("\u00a0a\u000b");
});
