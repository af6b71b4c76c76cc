import fc from "fast-check";
import { expect, test } from "vitest";

import { labelText } from "./prometheus-format.js";

const text = fc.string({ unit: "binary", maxLength: 200 });

test("labelText keeps every label on one line with its quotes closed", () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), (values) => {
      const written = labelText(values.flatMap((value, i) => [`l${i}`, value]));
      expect(written).not.toContain("\n");
      const unescaped = written.replaceAll(/\\[\\"n]/g, "");
      expect(unescaped.split('"').length - 1).toBe(values.length * 2);
    }),
  );
});
