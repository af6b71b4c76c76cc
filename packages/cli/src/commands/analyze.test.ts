import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, expect, test } from "vitest";

import { golden, runTulle, startHarness, type CliHarness } from "./testdata/harness.js";

const BROKEN = fileURLToPath(new URL("./testdata/broken", import.meta.url));
const short = (text: string): string => text.replaceAll(BROKEN, "broken");
/** Without what only depends on how far proxies are. */
const lasting = (text: string): string => text.replaceAll(/^.*Tulle's proxy .*\n.*\n/gm, "");

const TO = "http: [{route: [{destination: {host: reviews}}]}]";
const service = (name: string, spec: string, metadata = ""): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}${metadata}}\nspec: {${spec}}\n`;

test("tulle analyze says of a directory, without a control plane, all that is wrong and where", async () => {
  const { code, out, err } = await runTulle(["analyze", BROKEN]);
  const { actual, expected } = golden("analyze", lasting(short(out)));
  expect(actual).toBe(expected);
  expect(err).toMatch(/^tulle: \d+ Error, \d+ Warning, \d+ Info in \d+ objects\n$/);
  expect(code).toBe(1);
});

test("tulle analyze -o json is a list with istioctl's members", async () => {
  const { out } = await runTulle(["analyze", `${BROKEN}/conflict.yaml`, "-o", "json"]);
  const { actual, expected } = golden("analyze-json", short(out));
  expect(actual).toBe(expected);
  for (const finding of JSON.parse(out)) {
    expect(finding).toMatchObject({
      code: expect.stringMatching(/^(?:IST|TUL)\d{4}$/),
      level: expect.stringMatching(/^(?:Error|Warning|Info)$/),
      message: expect.any(String),
      reference: expect.stringMatching(/:\d+:\d+$/),
    });
  }
});

test("tulle analyze fails from the threshold on, and not for what is suppressed", async () => {
  const stdin = service("a", "hosts: [reviews], http: [{route: [{destination: {host: a.b.example}}]}]");
  const run = (...more: string[]) => runTulle(["analyze", "-", ...more], { stdin });
  expect((await run()).code).toBe(1);
  expect((await run("--suppress", "IST0101=VirtualService a.default")).code).toBe(0);
  expect((await run("--suppress", "IST0101=*.default")).code).toBe(0);
  expect((await run("--suppress", "IST0101=VirtualService a.shop")).code).toBe(1);
  const warned = await runTulle(["analyze", "-"], { stdin: service("a", `hosts: [], ${TO}`) });
  expect(warned.out).toContain("Warning [IST0133] (VirtualService default/a stdin:4:8) spec.hosts: is empty");
  expect(warned.code).toBe(0);
  const strict = await runTulle(["analyze", "-", "--failure-threshold", "Warning"], {
    stdin: service("a", `hosts: [], ${TO}`),
  });
  expect(strict.code).toBe(1);
});

test("tulle analyze finds nothing in an object that another delegates to", async () => {
  const root = service("root", "hosts: [reviews], http: [{delegate: {name: part}}]");
  const { out } = await runTulle(["analyze", "-"], { stdin: `${root}---\n${service("part", TO)}` });
  expect(out).toBe("");
});

test("tulle analyze knows the documents of tests, and finds what is wrong in them", async () => {
  const document = (kind: string, name: string, spec: string): string =>
    `apiVersion: tulle.dev/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;
  const services = document("MeshServices", "shop", "services: [{name: reviews}]");
  const clean = await runTulle(["analyze", "-"], {
    stdin: `${services}---\n${document("MeshTest", "shop", "cases: []")}`,
  });
  expect([clean.code, clean.out]).toEqual([0, ""]);
  const wrong = await runTulle(["analyze", "-"], {
    stdin: `${services}---\n${document("MeshTest", "shop", "given: {files: 3}, cases: []")}---\n${services}`,
  });
  expect(wrong.code).toBe(1);
  expect(wrong.out).toContain("Error [IST0106] (MeshTest default/shop stdin:9:16) spec.given.files:");
  expect(wrong.out).toContain("is written twice, first at stdin:1:1");
});

test("the example's directories are clean", async () => {
  const examples = fileURLToPath(new URL("../../../../examples", import.meta.url));
  for (const directory of ["shop", "shop/config", "demo"]) {
    const { code, out } = await runTulle(["analyze", join(examples, directory)]);
    expect([directory, code, out]).toEqual([directory, 0, ""]);
  }
});

test("tulle analyze refuses a suppression that it cannot read, and -A of files alone", async () => {
  const unread = await runTulle(["analyze", BROKEN, "--suppress", "IST9=x"]);
  expect([unread.code, unread.err]).toEqual([2, expect.stringContaining("CODE=KIND NAME.NAMESPACE")]);
  const unknown = await runTulle(["analyze", BROKEN, "--suppress", "IST0999=x"]);
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining("IST0999 is no code")]);
  expect((await runTulle(["analyze", BROKEN, "-A"])).code).toBe(2);
});

let mesh: CliHarness;

beforeEach(async () => {
  mesh = await startHarness();
});
afterEach(() => mesh.close());

test("tulle analyze without files is about what the control plane has, in one namespace or in all", async () => {
  const clean = await mesh.tulle(["analyze"]);
  expect([clean.code, clean.out, clean.err]).toEqual([0, "", "tulle: nothing found in the mesh\n"]);
  await mesh.tulle(["apply", "-f", "-"], {
    stdin: `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n${service("b", `hosts: [reviews], ${TO}`, ", namespace: shop")}`,
  });
  expect((await mesh.tulle(["analyze"])).code).toBe(0);
  const all = await mesh.tulle(["analyze", "-A"]);
  expect(all.out).toContain(
    "Error [IST0101] (VirtualService shop/b) spec.http[0].route[0].destination.host: there is no service reviews",
  );
  expect(all.code).toBe(1);
});

test("tulle analyze --live looks at files as if they were applied", async () => {
  await mesh.tulle(["apply", "-f", "-"], { stdin: service("old", `hosts: [reviews], ${TO}`) });
  const live = await mesh.tulle(["analyze", "--live", "-"], {
    stdin: service("new", `hosts: [reviews], ${TO}`),
  });
  expect(live.out).toContain(
    "Error [IST0109] (VirtualService default/new stdin:4:16) spec.hosts[0]: VirtualService default/old claims",
  );
  // What is stored already was not asked about.
  expect(live.out).not.toContain("(VirtualService default/old");
  expect(live.code).toBe(1);
});

const POLICY = (expression: string, action: string): string => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [networking.istio.io], apiVersions: ["*"], operations: [CREATE], resources: [virtualservices]}]
  validations: [{expression: "${expression}", message: must have a timeout}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p, validationActions: [${action}]}
---
`;

test("tulle analyze applies policies among the files to the other objects", async () => {
  const objects = `${service("a", `hosts: [a], ${TO}`)}---\n${service("b", "hosts: [b], http: [{timeout: 1s, route: [{destination: {host: reviews}}]}]")}`;
  const run = (expression: string, action: string) =>
    runTulle(["analyze", "-"], { stdin: `${POLICY(expression, action)}${objects}` });
  const rule = "object.spec.http.all(r, has(r.timeout))";
  const denied = await run(rule, "Deny");
  expect(denied.out).toMatch(
    /^Error \[TUL0008\] \(VirtualService default\/a stdin:\d+:1\) Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': must have a timeout\n/,
  );
  expect(denied.out).not.toContain("default/b");
  expect(denied.code).toBe(1);
  const warned = await run(rule, "Warn");
  expect(warned.out).toContain("Warning [TUL0009]");
  expect(warned.code).toBe(0);
  const wrong = await run("objekt", "Deny");
  expect(wrong.out).toMatch(
    /Error \[IST0106\] \(ValidatingAdmissionPolicy p stdin:8:18\) spec\.validations\[0\]\.expression: is no CEL/,
  );
});
