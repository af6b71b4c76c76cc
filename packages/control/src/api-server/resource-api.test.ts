import { randomUUID } from "node:crypto";

import { PolicyReviewer } from "@tulle/admission";
import { Caller, KINDS, LOCAL_SUBJECT, type StatusObject } from "@tulle/api";
import { silentLogger } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createConfigIndex } from "../config/index.js";
import { createMemoryStores } from "../stores/open.js";
import { createResourceApi, type ResourceApi } from "./resource-api.js";

const RULES = "/apis/networking.istio.io/v1/namespaces/default/destinationrules";
const LOCAL = { caller: new Caller(LOCAL_SUBJECT) };
let api: ResourceApi;
let clock: FakeClock;

beforeEach(async () => {
  clock = new FakeClock();
  api = await createResourceApi({
    kinds: KINDS,
    store: createMemoryStores({ clock }).resources,
    clock,
    version: "1.2.3",
    newUid: randomUUID,
    statusOf: (key) => (key.name === "watched" ? { conditions: [{ type: "Reconciled" }] } : undefined),
    logger: silentLogger,
  });
});

function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
  return Promise.resolve(api.app.request(path, { method, headers, body: text }, LOCAL));
}

function rule(name: string, host = name): object {
  return { metadata: { name }, spec: { host } };
}

async function json(response: Response | Promise<Response>): Promise<any> {
  return (await response).json();
}

test("every listed version is discovered, and objects read at it", async () => {
  const groups = await json(send("GET", "/apis"));
  const networking = groups.groups.find((group: { name: string }) => group.name === "networking.istio.io");
  expect(networking.preferredVersion.version).toBe("v1");
  await send("POST", RULES, rule("a"));
  for (const { version, groupVersion } of networking.versions as {
    version: string;
    groupVersion: string;
  }[]) {
    const list = await json(send("GET", `/apis/networking.istio.io/${version}`));
    expect(list.resources.map((each: { kind: string }) => each.kind)).toContain("DestinationRule");
    const object = await json(send("GET", RULES.replace("/v1/", `/${version}/`) + "/a"));
    expect(object.apiVersion).toBe(groupVersion);
  }
});

test("a created object has what the server adds, and its computed status", async () => {
  const response = await send("POST", RULES, rule("watched"));
  expect(response.status).toBe(201);
  const object = await json(response);
  expect(object.metadata).toMatchObject({
    namespace: "default",
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
  });
  expect(object.status.conditions[0].type).toBe("Reconciled");
});

test("generateName makes names", async () => {
  const object = await json(send("POST", RULES, { metadata: { generateName: "a-" }, spec: { host: "a" } }));
  expect(object.metadata.name).toMatch(/^a-[0-9a-f]{5}$/);
});

test("generation counts changes of the spec, and an update that changes nothing keeps the revision", async () => {
  await send("POST", RULES, rule("a"));
  const merge = { "content-type": "application/merge-patch+json" };
  const labelled = await json(send("PATCH", `${RULES}/a`, { metadata: { labels: { x: "y" } } }, merge));
  expect(labelled.metadata.generation).toBe(1);
  const changed = await json(send("PATCH", `${RULES}/a`, { spec: { host: "b" } }, merge));
  expect(changed.metadata.generation).toBe(2);
  const same = await json(send("PATCH", `${RULES}/a`, { spec: { host: "b" } }, merge));
  expect(same.metadata.resourceVersion).toBe(changed.metadata.resourceVersion);
});

test("concurrent patches without a revision are all applied", async () => {
  await send("POST", RULES, rule("a"));
  const merge = { "content-type": "application/merge-patch+json" };
  const labels = ["a", "b", "c", "d", "e"];
  await Promise.all(
    labels.map((name) => send("PATCH", `${RULES}/a`, { metadata: { labels: { [name]: "1" } } }, merge)),
  );
  const object = await json(send("GET", `${RULES}/a`));
  expect(Object.keys(object.metadata.labels).sort()).toEqual(labels);
});

test.each([
  [
    "no such kind",
    "GET",
    "/apis/networking.istio.io/v1/namespaces/default/gadgets",
    undefined,
    404,
    "NotFound",
  ],
  ["no such version", "GET", "/apis/networking.istio.io/v9/destinationrules", undefined, 404, "NotFound"],
  ["no such object", "GET", `${RULES}/none`, undefined, 404, "NotFound"],
  ["an update of nothing", "PUT", `${RULES}/none`, rule("none"), 404, "NotFound"],
  ["no JSON", "POST", RULES, "{", 400, "BadRequest"],
  ["deep JSON", "POST", RULES, `${"[".repeat(80)}${"]".repeat(80)}`, 400, "BadRequest"],
  ["a large body", "POST", RULES, " ".repeat(3 * 1024 * 1024 + 1), 413, "RequestEntityTooLarge"],
  ["a wrong spec", "POST", RULES, { metadata: { name: "a" }, spec: { hots: "a" } }, 422, "Invalid"],
  ["a wrong name", "POST", RULES, rule("A_B"), 422, "Invalid"],
  ["another kind", "POST", RULES, { kind: "Secret", ...rule("a") }, 422, "Invalid"],
  [
    "another namespace",
    "POST",
    RULES,
    { metadata: { name: "a", namespace: "b" }, spec: { host: "a" } },
    422,
    "Invalid",
  ],
  ["a method that is none", "POST", `${RULES}/a`, rule("a"), 405, "MethodNotAllowed"],
  ["an unknown patch", "PATCH", `${RULES}/a`, {}, 415, "UnsupportedMediaType"],
  ["a bad selector", "GET", `${RULES}?labelSelector=a%20b`, undefined, 400, "BadRequest"],
  ["an unknown field selector", "GET", `${RULES}?fieldSelector=spec.host=a`, undefined, 400, "BadRequest"],
])("%s is refused with the right Status", async (_name, method, path, body, code, reason) => {
  const response = await send(method, path, body);
  expect(response.status).toBe(code);
  const status = (await response.json()) as StatusObject;
  expect(status).toMatchObject({ kind: "Status", status: "Failure", code, reason });
  expect(status.message).toBeTruthy();
});

test("lists come in pages, and a changed list must be started again", async () => {
  for (const name of ["a", "b", "c"]) await send("POST", RULES, rule(name));
  const first = await json(send("GET", `${RULES}?limit=2`));
  expect(first.items).toHaveLength(2);
  expect(first.metadata.remainingItemCount).toBe(1);
  const token = first.metadata.continue as string;
  const second = await json(send("GET", `${RULES}?limit=2&continue=${token}`));
  expect(second.items.map((item: any) => item.metadata.name)).toEqual(["c"]);
  await send("POST", RULES, rule("d"));
  expect((await send("GET", `${RULES}?limit=2&continue=${token}`)).status).toBe(410);
});

test("a watch sends what is there, then what happens, and ends in time", async () => {
  await send("POST", RULES, rule("a"));
  const response = await send("GET", `${RULES}?watch=true&timeoutSeconds=10&labelSelector=!hidden`);
  const reader = response.body!.getReader();
  const next = async (): Promise<string> => {
    const { value, done } = await reader.read();
    if (done) return "end";
    const event = JSON.parse(new TextDecoder().decode(value)) as { type: string; object: any };
    return `${event.type} ${event.object.metadata.name}`;
  };
  expect(await next()).toBe("ADDED a");
  await send("POST", RULES, rule("b"));
  expect(await next()).toBe("ADDED b");
  const merge = { "content-type": "application/merge-patch+json" };
  await send("PATCH", `${RULES}/b`, { metadata: { labels: { hidden: "" } } }, merge);
  expect(await next()).toBe("DELETED b");
  await send("DELETE", `${RULES}/a`);
  expect(await next()).toBe("DELETED a");
  await clock.advance(10_000);
  expect(await next()).toBe("end");
  expect(clock.pending).toBe(0);
});

test("a reader that takes nothing is dropped, not buffered for ever", async () => {
  const response = await send("GET", `${RULES}?watch=true`);
  const annotations = { "example.com/fill": "x".repeat(200_000) };
  for (let n = 0; n < 12; n++) {
    await send("POST", RULES, { metadata: { name: `n${n}`, annotations }, spec: { host: "a" } });
  }
  let bytes = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) bytes += chunk.length;
  expect(bytes).toBeGreaterThan(1_000_000);
  expect(bytes).toBeLessThan(1_700_000);
});

test("watches are limited", async () => {
  const open = await Promise.all(Array.from({ length: 1000 }, () => send("GET", `${RULES}?watch=true`)));
  expect((await send("GET", `${RULES}?watch=true`)).status).toBe(429);
  await open[0]!.body!.cancel();
  expect((await send("GET", `${RULES}?watch=true`)).status).toBe(200);
});

test("a collection is deleted by selector", async () => {
  await send("POST", RULES, { metadata: { name: "a", labels: { x: "y" } }, spec: { host: "a" } });
  await send("POST", RULES, rule("b"));
  const deleted = await json(send("DELETE", `${RULES}?labelSelector=x%3Dy`));
  expect(deleted.items).toHaveLength(1);
  expect((await json(send("GET", RULES))).items.map((item: any) => item.metadata.name)).toEqual(["b"]);
});

const GATEKEEPER = {
  policy: {
    metadata: { name: "p" },
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["destinationrules"] },
        ],
      },
      validations: [
        {
          expression:
            "request.operation == 'DELETE' ? oldObject.spec.host != 'kept' : object.spec.host != 'bad'",
          message: "bad host",
        },
      ],
    },
  },
  binding: (validationActions: readonly string[]) => ({
    metadata: { name: "b" },
    spec: { policyName: "p", validationActions },
  }),
};

async function gatekeeper(...actions: readonly string[]): Promise<void> {
  const stores = createMemoryStores({ clock });
  const config = createConfigIndex(stores.resources, { clock, logger: silentLogger, random: () => 0 });
  await config.ready;
  api = await createResourceApi({
    kinds: KINDS,
    store: stores.resources,
    clock,
    version: "1.2.3",
    newUid: randomUUID,
    statusOf: () => undefined,
    policies: new PolicyReviewer(config),
    logger: silentLogger,
  });
  const root = "/apis/admissionregistration.k8s.io/v1";
  for (const [plural, body] of [
    ["validatingadmissionpolicies", GATEKEEPER.policy],
    ["validatingadmissionpolicybindings", GATEKEEPER.binding(actions)],
  ] as const)
    expect((await send("POST", `${root}/${plural}`, body)).status).toBe(201);
  await eventually(
    () => config.objects("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding").length === 1,
  );
}

test("users' rules refuse creates, updates, deletes and the deletion of a whole namespace, also in a dry run", async () => {
  await gatekeeper("Deny");
  const refused = await send("POST", RULES, rule("a", "bad"));
  expect(refused.status).toBe(422);
  expect(await json(refused)).toMatchObject({
    reason: "Invalid",
    message:
      "destinationrules.networking.istio.io \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: bad host",
    details: { causes: [{ message: expect.stringContaining("bad host") }] },
  });
  expect((await send("POST", `${RULES}?dryRun=All`, rule("a", "bad"))).status).toBe(422);
  expect((await send("POST", RULES, rule("a"))).status).toBe(201);
  expect((await send("PUT", `${RULES}/a`, rule("a", "bad"))).status).toBe(422);
  const patch = { "content-type": "application/merge-patch+json" };
  expect((await send("PATCH", `${RULES}/a`, { spec: { host: "bad" } }, patch)).status).toBe(422);

  await send("POST", "/api/v1/namespaces", { metadata: { name: "shop" } });
  const inShop = RULES.replace("/default/", "/shop/");
  expect((await send("POST", inShop, rule("k", "kept"))).status).toBe(201);
  expect((await send("DELETE", `${inShop}/k`)).status).toBe(422);
  expect((await send("DELETE", inShop)).status).toBe(422);
  expect((await send("DELETE", "/api/v1/namespaces/shop")).status).toBe(422);
  expect((await send("GET", `${inShop}/k`)).status).toBe(200);
  expect((await send("DELETE", `${RULES}/a`)).status).toBe(200);
});

test("users' rules warn, and take down for the audit log", async () => {
  await gatekeeper("Warn", "Audit");
  const answer = await send("POST", RULES, rule("a", "bad"));
  expect(answer.status).toBe(201);
  expect(answer.headers.get("warning")).toBe(
    "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': bad host\"",
  );
  expect(LOCAL.caller.notes.at(-1)).toContain("Validation failed");
});

test("a rule that is no CEL is refused, with every path", async () => {
  await gatekeeper("Deny");
  const [validation] = GATEKEEPER.policy.spec.validations;
  const spec = { ...GATEKEEPER.policy.spec, validations: [{ ...validation, expression: "objekt" }] };
  const answer = await send("POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", {
    metadata: { name: "q" },
    spec,
  });
  expect(answer.status).toBe(422);
  expect((await json(answer)).details.causes).toEqual([
    {
      reason: "FieldValueInvalid",
      field: "spec.validations[0].expression",
      message: expect.stringContaining("undeclared reference to objekt"),
    },
  ]);
});
