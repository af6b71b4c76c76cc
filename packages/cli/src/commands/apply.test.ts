import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, expect, test } from "vitest";

import { startHarness, type CliHarness } from "./testdata/harness.js";

const SHOP = fileURLToPath(new URL("./testdata/shop.yaml", import.meta.url));
const WRONG = fileURLToPath(new URL("./testdata/wrong.yaml", import.meta.url));

let mesh: CliHarness;
let directory: string;

beforeEach(async () => {
  mesh = await startHarness();
  directory = await mkdtemp(join(tmpdir(), "tulle-apply-"));
});

afterEach(async () => {
  await mesh.close();
  await rm(directory, { recursive: true });
});

const service = (name: string, extra = ""): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}${extra}}\nspec: {hosts: [${name}], http: [{route: [{destination: {host: ${name}}}]}]}\n`;

test("tulle apply creates, then changes nothing, then configures what differs", async () => {
  const first = await mesh.tulle(["apply", "-f", SHOP]);
  expect(first.out).toBe(
    "virtualservice.networking.istio.io/reviews created\ndestinationrule.networking.istio.io/reviews created\n",
  );
  expect(first.code).toBe(0);
  // A deprecated field is said once, where it stands.
  expect(first.err.trim().split("\n")).toEqual([
    expect.stringMatching(/^\S*shop\.yaml:2\d:\d+: warning: .*consecutiveErrors/),
  ]);
  const again = await mesh.tulle(["apply", "-f", SHOP]);
  expect(again.out.match(/ unchanged$/gm)).toHaveLength(2);
  const file = join(directory, "a.yaml");
  await writeFile(file, service("a"));
  await mesh.tulle(["apply", "-f", file]);
  await writeFile(file, service("a").replace("hosts: [a]", "hosts: [a, b]"));
  expect((await mesh.tulle(["apply", "-f", file])).out).toBe(
    "virtualservice.networking.istio.io/a configured\n",
  );
});

test("tulle apply lists all violations of a refused object where they stand, applies the others and exits 1", async () => {
  const { code, out, err } = await mesh.tulle(["apply", "-f", WRONG]);
  expect(code).toBe(1);
  expect(out).toBe("virtualservice.networking.istio.io/right created\n");
  expect(err.split("\n")).toEqual([
    "virtualservice.networking.istio.io/wrong refused:",
    expect.stringMatching(/^  \S*wrong\.yaml:8:7: spec\.http\[0\]\.timeout: /),
    expect.stringMatching(/^  \S*wrong\.yaml:11:11: spec\.http\[0\]\.route\[0\]\.weight: /),
    "tulle: 1 refused, 1 applied",
    "",
  ]);
});

test("tulle apply reads stdin and directories, and those below only with -R", async () => {
  await mkdir(join(directory, "below"));
  await writeFile(
    join(directory, "b.json"),
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }),
  );
  await writeFile(join(directory, "a.yml"), service("a"));
  await writeFile(join(directory, "notes.txt"), "not: [yaml");
  await writeFile(join(directory, "below", "c.yaml"), service("c"));
  const flat = await mesh.tulle(["apply", "-f", directory]);
  expect([flat.out, flat.err]).toEqual([
    "namespace/shop created\nvirtualservice.networking.istio.io/a created\n",
    "",
  ]);
  const deep = await mesh.tulle(["apply", "-R", "-f", directory, "-f", "-"], { stdin: service("piped") });
  expect(deep.out.trim().split("\n")).toEqual([
    "namespace/shop unchanged",
    "virtualservice.networking.istio.io/a unchanged",
    "virtualservice.networking.istio.io/c created",
    "virtualservice.networking.istio.io/piped created",
  ]);
});

test("tulle apply leaves a file out whole when it cannot be read, and goes on with the next", async () => {
  const stdin = `${service("fine")}---\nkind: [broken\n`;
  const file = join(directory, "next.yaml");
  await writeFile(file, service("next"));
  const { code, out, err } = await mesh.tulle(["apply", "-f", "-", "-f", file], { stdin });
  expect(code).toBe(1);
  expect(out).toBe("virtualservice.networking.istio.io/next created\n");
  expect(err).toMatch(/^stdin:\d+:\d+: /);
  expect(err).toContain("stdin: left out whole until this is right");
});

test("tulle apply --dry-run checks and stores nothing", async () => {
  const dry = await mesh.tulle(["apply", "--dry-run", "-f", WRONG]);
  expect([dry.code, dry.out]).toEqual([1, "virtualservice.networking.istio.io/right created (dry run)\n"]);
  expect(dry.err).toContain("tulle: 1 refused, 1 accepted");
  expect((await mesh.tulle(["get", "vs", "right"])).code).toBe(4);
});

test("tulle apply -n puts objects into the namespace, and refuses those that name another", async () => {
  const shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
  const stdin = `${service("a")}---\n${service("b", ", namespace: bank")}---\n${shop}`;
  const { code, err } = await mesh.tulle(["apply", "-n", "shop", "-f", "-"], { stdin });
  expect(code).toBe(1);
  expect(err).toMatch(
    /^stdin:8:21: virtualservice\.networking\.istio\.io\/b is in the namespace bank, but --namespace says shop/,
  );
  expect((await mesh.tulle(["get", "vs", "-A", "-o", "name"])).out).toBe(
    "virtualservice.networking.istio.io/a\n",
  );
  expect((await mesh.tulle(["get", "vs", "a", "-n", "shop"])).code).toBe(0);
});

test.each([
  [["apply"], 2, "required option '-f, --filename <path>'"],
  [["apply", "-f", "missing.yaml"], 4, "there is no file or directory missing.yaml"],
  [["apply", "-f", "https://example.com/a.yaml"], 1, "is a URL"],
  [["apply", "-f", "-"], 1, "nothing is written in -"],
  [["apply", "-f", "-", "-f", "-"], 1, "stdin (-) can be read once only"],
])("tulle %j exits %i", async (argv, code, message) => {
  const run = await mesh.tulle(argv);
  expect(run.err).toContain(message);
  expect(run.code).toBe(code);
});

test("tulle apply exits 3 when there is no control plane, whatever else is left to apply", async () => {
  const run = await mesh.tulle(["apply", "-f", SHOP, "--server", "http://127.0.0.1:1"]);
  expect(run.code).toBe(3);
  expect(run.err).toMatch(/^tulle: no control plane at http:\/\/127\.0\.0\.1:1/);
});

test("tulle delete deletes what files or words name, and says what is not there", async () => {
  await mesh.tulle(["apply", "-f", SHOP]);
  const byName = await mesh.tulle(["delete", "vs/reviews", "dr/missing"]);
  expect(byName).toEqual({
    code: 4,
    out: "virtualservice.networking.istio.io/reviews deleted\n",
    err: 'tulle: destinationrules.networking.istio.io "missing" not found\n',
  });
  const byFile = await mesh.tulle(["delete", "-f", SHOP]);
  expect([byFile.code, byFile.out]).toEqual([4, "destinationrule.networking.istio.io/reviews deleted\n"]);
  expect(await mesh.tulle(["delete", "--ignore-not-found", "-f", SHOP])).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});

test("tulle delete --dry-run deletes nothing", async () => {
  await mesh.tulle(["apply", "-f", SHOP]);
  const dry = await mesh.tulle(["delete", "--dry-run", "virtualservice", "reviews"]);
  expect(dry.out).toBe("virtualservice.networking.istio.io/reviews deleted (dry run)\n");
  expect((await mesh.tulle(["get", "vs", "reviews"])).code).toBe(0);
});

test.each([
  [["delete"], "say KIND NAME, or -f FILE"],
  [["delete", "vs", "a", "-f", "x"], "say KIND NAME, or -f FILE"],
  [["delete", "vs"], "say which virtualservices to delete"],
  [["delete", "nonsense", "a"], "unknown kind nonsense"],
  [["delete", "vs/a", "b"], '"b" is not KIND/NAME'],
])("tulle %j is wrong usage", async (argv, message) => {
  const run = await mesh.tulle(argv);
  expect(run.err).toContain(message);
  expect(run.code).toBe(2);
});

test("tulle apply shows a conflict where it is written, with both owners, and --dry-run finds it too", async () => {
  await mesh.tulle(["apply", "-f", "-"], { stdin: service("old") });
  const second = service("new").replace("hosts: [new]", "hosts: [old]");
  for (const more of [["--dry-run"], []]) {
    const { code, err } = await mesh.tulle(["apply", "-f", "-", ...more], { stdin: second });
    expect(code).toBe(1);
    expect(err.split("\n").slice(0, 2)).toEqual([
      "virtualservice.networking.istio.io/new refused:",
      expect.stringMatching(
        /^  stdin:4:16: spec\.hosts\[0\]: conflicts with VirtualService default\/old: .* and VirtualService default\/new /,
      ),
    ]);
  }
  const allowed = second.replace(
    "{name: new}",
    '{name: new, annotations: {tulle.dev/allow-conflict: "true"}}',
  );
  const { code, err } = await mesh.tulle(["apply", "-f", "-"], { stdin: allowed });
  expect(err).toContain("stdin:4:16: warning: spec.hosts[0]: VirtualService default/old claims the host");
  expect(code).toBe(0);
  const described = await mesh.tulle(["describe", "vs/new"]);
  expect(described.out).toMatch(/Analysis:\n {2}LEVEL {3}CODE .*\n {2}ERROR {3}IST0109 {3}spec\.hosts\[0\]/);
});

test("tulle apply refuses what proxies would refuse, at the rule that they would", async () => {
  const stdin = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a]
  http:
    - route: [{destination: {host: a}}]
      match: [{uri: {prefix: /x}}]
    - match: [{uri: {regex: "[[:nope:]]"}}]
      route: [{destination: {host: a}}]
`;
  const { code, err } = await mesh.tulle(["apply", "-f", "-"], { stdin });
  expect(err).toMatch(
    / {2}stdin:9:7: spec\.http\[1\]: proxies would refuse a\.default\.svc\.cluster\.local:80: /,
  );
  expect(code).toBe(1);
});

test("tulle apply takes objects that are larger than what else the control plane is asked", async () => {
  const hosts = Array.from({ length: 4000 }, (_, index) => `host-${index}.example.com`);
  const large = service("large").replace("hosts: [large]", `hosts: [${hosts.join(", ")}]`);
  expect(large.length).toBeGreaterThan(64 * 1024);
  const { code, err } = await mesh.tulle(["apply", "-f", "-"], { stdin: large });
  expect([code, err]).toEqual([0, ""]);
});
