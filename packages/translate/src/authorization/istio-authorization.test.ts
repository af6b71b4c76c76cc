import { readFileSync } from "node:fs";

import { expect, test } from "vitest";
import { parse } from "yaml";

import { guardOf, policy, type Caller } from "../../testdata/guard.js";

// What policies mean to Istio, held against what they mean here.

interface Case {
  readonly what: string;
  readonly policies: readonly object[];
  readonly allowed?: readonly Caller[];
  readonly denied?: readonly Caller[];
  /** Why it is otherwise here. */
  readonly differs?: string;
}

const file = new URL("../../testdata/istio-authorization.yaml", import.meta.url);
const cases = parse(readFileSync(file, "utf8")) as readonly Case[];

test.each(
  cases.map((one) => [one.what + (one.differs === undefined ? "" : `: ${one.differs}`), one] as const),
)("%s", (_what, { policies, allowed = [], denied = [] }) => {
  const yaml = policies.map((spec, index) => policy(`p${index}`, JSON.stringify(spec).slice(1, -1)));
  const guard = guardOf(yaml.join(""));
  const decided = (callers: readonly Caller[]) =>
    callers.map((caller) => [caller, guard.http(caller).slice(0, 3)]);
  expect(allowed.length + denied.length).toBeGreaterThan(0);
  expect(decided(allowed)).toEqual(allowed.map((caller) => [caller, "200"]));
  expect(decided(denied)).toEqual(denied.map((caller) => [caller, "403"]));
});
