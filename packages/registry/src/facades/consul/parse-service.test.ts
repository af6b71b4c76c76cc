import * as fc from "fast-check";
import { expect, test } from "vitest";
import { validateChecks, validateService } from "../../validate.js";
import { parseCatalogRegistration } from "./parse-catalog.js";
import { parseRegistration } from "./parse-service.js";

test("parseRegistration, parseCatalogRegistration and validation never throw, whatever the JSON", () => {
  const fields = [
    "Name",
    "ID",
    "Tags",
    "Meta",
    "Port",
    "Check",
    "checks",
    "Weights",
    "HTTP",
    "ttl",
    "TaggedAddresses",
  ];
  const nested = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...fields, "__proto__"), fc.string()), tie("node"), {
        maxKeys: 6,
      }),
      fc.array(tie("node"), { maxLength: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(nested, (raw) => {
      // Through JSON, as from the wire: `__proto__` becomes a key of its own.
      const body: unknown = JSON.parse(JSON.stringify(raw) ?? "null");
      const { service, checks } = parseRegistration(body, "default");
      validateService(service);
      validateChecks(checks);
      parseCatalogRegistration(body, "default");
      expect(Object.getPrototypeOf(service.meta)).toBeNull();
    }),
    { numRuns: 1000 },
  );
});
