import fc from "fast-check";
import { expect, test } from "vitest";

import { isCarriedUpgrade } from "./upgrade.js";

test.each([
  ["websocket", true],
  ["WebSocket", true],
  ["SPDY/3.1", true],
  ["tcp", true],
  ["connect-udp", true],
  ["h2c", false],
  ["H2C", false],
  ["TLS/1.0", false],
  ["HTTP/2.0", false],
  ["http", false],
  ["websocket, h2c", false],
  ["websocket,h2c", false],
  ["a/b/c", false],
  ["/1", false],
  ["a/", false],
  ["", false],
  ["a b", false],
  ["a\r\nX: y", false],
  ["caf\u00e9", false],
])("isCarriedUpgrade(%j) is %j", (text, expected) => {
  expect(isCarriedUpgrade(text)).toBe(expected);
});

test("isCarriedUpgrade lets nothing through that could end or split a field", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      if (isCarriedUpgrade(text)) expect(text).toMatch(/^[!-~]+$/);
      expect(isCarriedUpgrade(`${text},h2c`)).toBe(false);
    }),
  );
});
