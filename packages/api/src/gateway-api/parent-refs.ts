import type { z } from "zod";
import { namespaceName } from "../schema/namespaces.js";
import { port } from "../schema/numbers.js";
import { struct, structsOf, type Fields, type Rule } from "../schema/struct.js";
import { atMost } from "./lists.js";
import { GATEWAY_API_GROUP, group, kindName, objectName, sectionName } from "./names.js";
import type { ParentReference } from "./type.js";

const parentRef = struct({
  group: group.exactOptional(),
  kind: kindName.exactOptional(),
  namespace: namespaceName.exactOptional(),
  name: objectName,
  sectionName: sectionName.exactOptional(),
  port: port.exactOptional(),
});

export const parentRefs: z.ZodExactOptional<z.ZodType<ParentReference[]>> = atMost(
  32,
  parentRef,
).exactOptional();

/**
 * Every parent is another one: references to one object differ in their section or port, and all of them say the same
 * of these.
 */
export const distinctParents: Rule = (fields, report) => {
  const seen = new Map<string, { readonly index: number; readonly parts: ReadonlySet<string> }>();
  for (const [index, parent] of structsOf(fields["parentRefs"])) {
    const part = JSON.stringify([parent["sectionName"], parent["port"]]);
    const before = seen.get(objectKey(parent));
    if (before === undefined) {
      seen.set(objectKey(parent), { index, parts: new Set([part]) });
      continue;
    }
    const [first] = before.parts;
    if (shapeOf(first ?? "") !== shapeOf(part)) {
      report(
        ["parentRefs", index],
        `must give sectionName and port like parentRefs[${before.index}]: both name the same parent`,
      );
    } else if (before.parts.has(part)) {
      report(["parentRefs", index], "repeats a parent; give each a sectionName or port of its own");
    }
    seen.set(objectKey(parent), { index: before.index, parts: new Set([...before.parts, part]) });
  }
};

function objectKey(parent: Fields): string {
  const { group: ofGroup = GATEWAY_API_GROUP, kind = "Gateway", namespace = "", name } = parent;
  return JSON.stringify([ofGroup, kind, namespace, name]);
}

/** Which of section and port a part gives. */
function shapeOf(part: string): string {
  return (JSON.parse(part) as unknown[]).map((value) => (value === null ? "-" : "x")).join("");
}
