import { execFile, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";

import { serve, type ServerType } from "@hono/node-server";
import { Caller, LOCAL_SUBJECT, KINDS } from "@tulle/api";
import { silentLogger, systemClock } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { createResourceApi } from "./resource-api.js";

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;

const CANARY = `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
`;
const RULE = `
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
  trafficPolicy:
    outlierDetection: {consecutiveErrors: 5}
`;
const WRONG = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: wrong
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews}, weight: 90}
    - {destination: {host: reviews, port: {number: 99999}}, weight: -1}
    htttp: true
`;

const LOCAL = { caller: new Caller(LOCAL_SUBJECT) };

describe.skipIf(!hasKubectl)("kubectl against the resource API", () => {
  const home = mkdtempSync(join(tmpdir(), "tulle-kubectl-"));
  let server: ServerType;
  let url = "";

  beforeAll(async () => {
    const { resources } = createMemoryStores({ clock: systemClock });
    const api = await createResourceApi({
      kinds: KINDS,
      store: resources,
      clock: systemClock,
      version: "0.0.0",
      newUid: randomUUID,
      statusOf: () => undefined,
      logger: silentLogger,
    });
    await new Promise<void>((resolve) => {
      server = serve(
        { fetch: (request) => api.app.fetch(request, LOCAL), port: 0, hostname: "127.0.0.1" },
        (info: AddressInfo) => {
          url = `http://127.0.0.1:${info.port}`;
          resolve();
        },
      );
    });
  });

  afterAll(() => {
    server.close();
    rmSync(home, { recursive: true, force: true });
  });

  interface Result {
    readonly code: number;
    readonly out: string;
    readonly err: string;
  }

  function kubectl(
    args: readonly string[],
    input = "",
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Result> {
    return new Promise((resolve) => {
      const env = { ...process.env, HOME: home, ...environment };
      const child = execFile(
        "kubectl",
        ["--server", url, ...args],
        { env, timeout: 20_000 },
        (error, out, err) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
        },
      );
      child.stdin?.end(input);
    });
  }

  test("apply creates, leaves unchanged and configures", async () => {
    expect((await kubectl(["apply", "-f", "-"], CANARY)).out).toBe(
      "virtualservice.networking.istio.io/reviews created\n",
    );
    expect((await kubectl(["apply", "-f", "-"], CANARY)).out).toBe(
      "virtualservice.networking.istio.io/reviews unchanged\n",
    );
    const changed = CANARY.replace("90", "50").replace("10", "50");
    expect((await kubectl(["apply", "-f", "-"], changed)).out).toBe(
      "virtualservice.networking.istio.io/reviews configured\n",
    );
  });

  test("apply prints the warnings for deprecated fields", async () => {
    const { err, out } = await kubectl(["apply", "-f", "-"], RULE);
    expect(out).toContain("created");
    expect(err).toMatch(/Warning: .*consecutiveErrors/);
    const stored = await kubectl(["get", "destinationrule", "reviews", "-o", "yaml"]);
    expect(stored.out).toContain("consecutive5xxErrors: 5");
  });

  test("apply refuses a wrong object with all its violations and changes nothing", async () => {
    const { code, err } = await kubectl(["apply", "-f", "-"], WRONG);
    expect(code).toBe(1);
    expect(err).toContain("spec.http[0].route[1].destination.port.number");
    expect(err).toContain("spec.http[0].route[1].weight");
    expect(err).toContain("spec.http[0].htttp");
    expect((await kubectl(["get", "virtualservice", "wrong"])).err).toContain("NotFound");
  });

  test("get prints tables, names and YAML, and describe works", async () => {
    const table = await kubectl(["get", "vs"]);
    expect(table.out).toMatch(/^NAME\s+GATEWAYS\s+HOSTS\s+AGE\n/);
    expect(table.out).toMatch(/reviews\s+.*\["reviews"\]/);
    expect((await kubectl(["get", "virtualservices", "-o", "name"])).out).toBe(
      "virtualservice.networking.istio.io/reviews\n",
    );
    expect((await kubectl(["get", "vs", "-A"])).out).toMatch(/default\s+reviews/);
    expect((await kubectl(["get", "vs", "reviews", "-o", "yaml"])).out).toContain("weight: 50");
    const described = await kubectl(["describe", "vs", "reviews"]);
    expect(described.err).toBe("");
    expect(described.out).toMatch(/Name:\s+reviews/);
  });

  test("get -w shows a change as it happens", async () => {
    const watching = spawn("kubectl", ["--server", url, "get", "vs", "reviews", "-w", "-o", "name"], {
      env: { ...process.env, HOME: home },
    });
    let out = "";
    watching.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    await eventually(() => out.split("\n").length > 1);
    await kubectl(["label", "vs", "reviews", "tier=front"]);
    await eventually(() => out.split("\n").length > 2);
    watching.kill();
    expect((await kubectl(["get", "vs", "-l", "tier=front", "-o", "name"])).out).toContain("reviews");
    expect((await kubectl(["get", "vs", "-l", "tier!=front", "-o", "name"])).out).toBe("");
  });

  test("edit and patch change an object", async () => {
    const editor = join(home, "editor.sh");
    writeFileSync(editor, "#!/bin/sh\nsed -i 's/weight: 50/weight: 25/' \"$1\"\n");
    chmodSync(editor, 0o700);
    const edited = await kubectl(["edit", "vs", "reviews"], "", { EDITOR: editor, KUBE_EDITOR: editor });
    expect(edited.out).toContain("edited");
    expect((await kubectl(["get", "vs", "reviews", "-o", "yaml"])).out).toContain("weight: 25");
    const json = '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 75}]';
    expect((await kubectl(["patch", "vs", "reviews", "--type=json", "-p", json])).out).toContain("patched");
    expect((await kubectl(["get", "vs", "reviews", "-o", "yaml"])).out).toContain("weight: 75");
  });

  test("diff and dry runs show what would happen and change nothing", async () => {
    const diff = await kubectl(["diff", "-f", "-"], CANARY);
    expect(diff.err).toBe("");
    expect(diff.code).toBe(1);
    expect(diff.out).toMatch(/-\s+weight: 75\n\+\s+weight: 90/);
    const dry = await kubectl(["apply", "--dry-run=server", "-f", "-"], CANARY);
    expect(dry.out).toContain("configured (server dry run)");
    expect((await kubectl(["get", "vs", "reviews", "-o", "yaml"])).out).toContain("weight: 75");
    const wrong = await kubectl(["apply", "--dry-run=server", "-f", "-"], WRONG);
    expect(wrong.err).toContain("spec.http[0].route[1].weight");
  });

  test("server-side apply owns what it applied", async () => {
    const object = (fields: string): string =>
      `${RULE.replaceAll("reviews", "applied").replace(/ {2}trafficPolicy[\s\S]*/, "")}${fields}`;
    const apply = (fields: string): Promise<Result> =>
      kubectl(["apply", "--server-side", "-f", "-"], object(fields));
    expect((await apply("  exportTo: ['.']\n")).out).toContain("serverside-applied");
    await kubectl([
      "patch",
      "dr",
      "applied",
      "--type=merge",
      "-p",
      '{"spec": {"subsets": [{"name": "v1"}]}}',
    ]);
    expect((await apply("  workloadSelector: {matchLabels: {a: b}}\n")).out).toContain("serverside-applied");
    const { out } = await kubectl(["get", "dr", "applied", "-o", "yaml"]);
    expect(out).toContain("workloadSelector");
    expect(out).toContain("subsets");
    expect(out.slice(out.indexOf("\nspec:"))).not.toContain("exportTo");
  });

  test("replace refuses a stale resourceVersion", async () => {
    const stale = (await kubectl(["get", "dr", "reviews", "-o", "json"])).out;
    await kubectl(["annotate", "dr", "reviews", "a=b"]);
    const { code, err } = await kubectl(["replace", "-f", "-"], stale);
    expect(code).toBe(1);
    expect(err).toContain("Conflict");
  });

  test("namespaces and secrets work; what is not there is named", async () => {
    expect((await kubectl(["create", "namespace", "shop"])).out).toBe("namespace/shop created\n");
    expect((await kubectl(["get", "ns"])).out).toMatch(/shop\s+Active/);
    expect(
      (await kubectl(["create", "secret", "generic", "s", "-n", "shop", "--from-literal=k=v"])).out,
    ).toContain("created");
    expect((await kubectl(["get", "secret", "s", "-n", "shop", "-o", "jsonpath={.data.k}"])).out).toBe(
      "dg==",
    );
    expect((await kubectl(["apply", "-n", "nowhere", "-f", "-"], CANARY)).err).toContain(
      'namespaces "nowhere" not found',
    );
    expect((await kubectl(["delete", "namespace", "shop"])).out).toContain("deleted");
    expect((await kubectl(["get", "secret", "s", "-n", "shop"])).err).toContain("NotFound");
    expect((await kubectl(["delete", "namespace", "default"])).err).toContain("cannot be deleted");
  });

  test("a directory of multi-document files is applied and deleted", async () => {
    const directory = join(home, "objects");
    mkdirSync(directory);
    writeFileSync(
      join(directory, "a.yaml"),
      `${CANARY.replaceAll("reviews", "one")}---\n${RULE.replaceAll("reviews", "two")}`,
    );
    writeFileSync(join(directory, "b.yaml"), CANARY.replaceAll("reviews", "three"));
    expect((await kubectl(["apply", "-f", directory])).out.split("\n")).toHaveLength(4);
    const gone = kubectl(["wait", "--for=delete", "vs/one", "--timeout=10s"]);
    expect((await kubectl(["delete", "-f", directory])).out).toContain('"three" deleted');
    expect((await gone).code).toBe(0);
    expect((await kubectl(["get", "vs", "one"])).err).toContain("NotFound");
  });
});
