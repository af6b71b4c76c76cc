import { expect, test } from "vitest";

import { objectOf, readerOf } from "./testdata/objects.js";
import { tryOut } from "./trial.js";

const TO = "route: [{destination: {host: reviews}}]";

test("a VirtualService that every proxy takes comes through", () => {
  const object = objectOf(
    "VirtualService",
    "a",
    `{hosts: [reviews], http: [{match: [{uri: {regex: "/a.*"}}], ${TO}}]}`,
  );
  expect(tryOut(readerOf([object]), object)).toEqual([]);
});

test("what the engine does not compile is told with the rule that it came from", () => {
  const object = objectOf(
    "VirtualService",
    "a",
    `{hosts: [reviews, "*.example"], http: [{match: [{uri: {prefix: /a}}], ${TO}}, {match: [{uri: {regex: "[[:nope:]]"}}], ${TO}}]}`,
  );
  const refusals = tryOut(readerOf([object]), object);
  expect(refusals.map(({ path }) => path)).toEqual(["spec.http[1]", "spec.http[1]"]);
  expect(refusals[0]?.message).toMatch(
    /proxies would refuse reviews\.default\.svc\.cluster\.local:80: .*safe_regex/,
  );
});

test("a rule is tried for the clients that it is for", () => {
  const object = objectOf(
    "VirtualService",
    "a",
    `{hosts: [reviews], http: [{match: [{sourceLabels: {app: web}, uri: {regex: "[[:nope:]]"}}], ${TO}}, {${TO}}]}`,
  );
  expect(tryOut(readerOf([object]), object)).toHaveLength(1);
});

test("a delegate is tried where it is used, and alone where it is not", () => {
  const bad = objectOf("VirtualService", "bad", `{http: [{match: [{uri: {regex: "[[:nope:]]"}}], ${TO}}]}`);
  const root = objectOf("VirtualService", "root", "{hosts: [reviews], http: [{delegate: {name: bad}}]}");
  expect(tryOut(readerOf([bad]), bad)).toHaveLength(1);
  expect(tryOut(readerOf([bad, root]), bad)[0]).toMatchObject({ path: "spec.http[0]" });
});

test("a translation that throws is a refusal, not an accident", () => {
  const object = {
    ...objectOf("ServiceEntry", "e", "{hosts: [a.example], ports: [{number: 80, name: http}]}"),
  };
  const reader = readerOf([object]);
  const broken: typeof reader = {
    ...reader,
    objects: (group, kind) => {
      if (kind === "DestinationRule") throw new TypeError("of undefined");
      return reader.objects(group, kind);
    },
  };
  const [refusal] = tryOut(broken, object);
  expect(refusal).toMatchObject({ path: "spec", message: expect.stringContaining("cannot be translated") });
});
