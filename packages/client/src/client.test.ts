import { InvalidObjectError, resolveKindName, type Kind } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createClient, LAST_APPLIED, type Client } from "./index.js";
import { warningsOf } from "./transport.js";

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly type: string | undefined;
  readonly body: unknown;
}

type Handler = (seen: Seen, response: ServerResponse) => void;

async function serve(handle: Handler): Promise<{ readonly client: Client; readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const call = {
        method: request.method ?? "",
        path: request.url ?? "",
        type: request.headers["content-type"],
        body: body === "" ? undefined : JSON.parse(body),
      };
      seen.push(call);
      handle(call, response);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { client: createClient({ server: `127.0.0.1:${port}/` }), seen };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string | string[]> = {},
) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function kindNamed(name: string): Kind {
  const kind = resolveKindName(name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
}

const vs = kindNamed("vs");
const dr = kindNamed("dr");

async function failure(call: Promise<unknown>): Promise<MeshError> {
  try {
    await call;
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown;
    throw thrown;
  }
  throw new Error("the call did not fail");
}

/** One object's worth of the resource API. */
function objectServer(): { readonly handle: Handler; object(): Record<string, unknown> | undefined } {
  let stored: Record<string, unknown> | undefined;
  let revision = 0;
  const store = (body: Record<string, unknown>) => {
    revision++;
    stored = {
      ...body,
      metadata: { ...(body["metadata"] as object), resourceVersion: String(revision), uid: "u" },
    };
    return stored;
  };
  return {
    object: () => stored,
    handle({ method, body }, response) {
      const raw = body as Record<string, unknown>;
      if (method === "POST") answer(response, 201, store(raw));
      else if (stored === undefined)
        answer(response, 404, { kind: "Status", reason: "NotFound", message: "not found" });
      else if (method === "PATCH") answer(response, 200, store(merge(stored, raw)));
      else answer(response, 200, stored);
    },
  };
}

function merge(target: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const result = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (typeof value === "object" && !Array.isArray(value)) {
      result[key] = merge((result[key] ?? {}) as Record<string, unknown>, value as Record<string, unknown>);
    } else result[key] = value;
  }
  return result;
}

test("apply creates, then says unchanged, then changes only what differs and removes what is declared no more", async () => {
  const server = objectServer();
  const { client, seen } = await serve(server.handle);
  const file = {
    apiVersion: "networking.istio.io/v1beta1",
    kind: "DestinationRule",
    metadata: { name: "reviews", labels: { team: "a" } },
    spec: { host: "reviews", trafficPolicy: { outlierDetection: { consecutiveErrors: 5 } } },
  };
  const created = await client.resources.apply(dr, file, { namespace: "shop" });
  expect(created).toMatchObject({
    outcome: "created",
    warnings: [expect.stringContaining("consecutiveErrors is deprecated")],
    object: { spec: { trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5 } } } },
  });
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /apis/networking.istio.io/v1/namespaces/shop/destinationrules/reviews",
    "POST /apis/networking.istio.io/v1/namespaces/shop/destinationrules?fieldManager=tulle",
  ]);
  expect(await client.resources.apply(dr, file, { namespace: "shop" })).toMatchObject({
    outcome: "unchanged",
  });
  expect(seen).toHaveLength(3);

  const changed = { ...file, metadata: { name: "reviews" }, spec: { host: "reviews", exportTo: ["."] } };
  expect(await client.resources.apply(dr, changed, { namespace: "shop" })).toMatchObject({
    outcome: "configured",
  });
  expect(seen.at(-1)).toMatchObject({
    method: "PATCH",
    type: "application/merge-patch+json",
    body: {
      metadata: {
        labels: null,
        annotations: { [LAST_APPLIED]: expect.stringContaining('"exportTo":["."]') },
      },
      spec: { exportTo: ["."], trafficPolicy: null },
    },
  });
  expect(server.object()).toMatchObject({ spec: { host: "reviews", exportTo: ["."] } });
});

test("apply sends what this client does not accept as it is, and the server's refusal lists all violations", async () => {
  const causes = [
    { reason: "FieldValueInvalid", field: "spec.http[0].timeout", message: "is wrong" },
    { reason: "FieldValueInvalid", field: "spec.hosts", message: "is missing" },
  ];
  const { client, seen } = await serve(({ method }, response) => {
    if (method === "GET") answer(response, 404, { kind: "Status", reason: "NotFound" });
    else
      answer(response, 422, {
        kind: "Status",
        reason: "Invalid",
        message: "is invalid",
        details: { causes },
      });
  });
  const error = await failure(client.resources.apply(vs, { metadata: { name: "a" }, spec: { htttp: 1 } }));
  expect(error).toBeInstanceOf(InvalidObjectError);
  expect((error as InvalidObjectError).violations).toEqual(
    causes.map(({ field, message }) => ({ path: field, message })),
  );
  expect(seen[1]?.body).toMatchObject({ spec: { htttp: 1 } });
});

test("apply looks again when somebody else created the object meanwhile", async () => {
  const server = objectServer();
  let raced = false;
  const { client, seen } = await serve((call, response) => {
    if (call.method === "POST" && !raced) {
      raced = true;
      server.handle(call, { writeHead: () => {}, end: () => {} } as unknown as ServerResponse);
      answer(response, 409, { kind: "Status", reason: "AlreadyExists", message: "exists" });
    } else server.handle(call, response);
  });
  const object = { metadata: { name: "a" }, spec: { host: "a" } };
  expect(await client.resources.apply(dr, object)).toMatchObject({ outcome: "unchanged" });
  expect(seen.map(({ method }) => method)).toEqual(["GET", "POST", "GET"]);
});

test("list follows pages and gives items their type", async () => {
  const { client, seen } = await serve(({ path }, response) => {
    const second = path.includes("continue=next");
    const metadata = { resourceVersion: "7", ...(second ? {} : { continue: "next" }) };
    answer(response, 200, { items: [{ metadata: { name: second ? "b" : "a" } }], metadata });
  });
  const { items, resourceVersion } = await client.resources.list(vs, { labelSelector: "a=b" });
  expect(items.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([
    "VirtualService/a",
    "VirtualService/b",
  ]);
  expect(resourceVersion).toBe("7");
  expect(seen[0]?.path).toBe("/apis/networking.istio.io/v1/virtualservices?labelSelector=a%3Db&limit=500");
});

test("get, delete and cluster-scoped kinds use Kubernetes' paths, with names encoded", async () => {
  const { client, seen } = await serve((_call, response) =>
    answer(response, 200, { metadata: { name: "a" } }),
  );
  await client.resources.get(kindNamed("ns"), { namespace: "ignored", name: "a" });
  await client.resources.delete(kindNamed("secret"), { name: "../b" }, { dryRun: true });
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /api/v1/namespaces/a",
    "DELETE /api/v1/namespaces/default/secrets/..%2Fb?fieldManager=tulle&dryRun=All",
  ]);
});

test("watch yields events across chunk borders and ends when its signal aborts", async () => {
  const { client } = await serve((_call, response) => {
    response.writeHead(200);
    const line = JSON.stringify({ type: "ADDED", object: { metadata: { name: "grüße" } } });
    const bytes = Buffer.from(`${line}\n${line.replace("ADDED", "DELETED")}\n`);
    response.write(bytes.subarray(0, 45));
    setImmediate(() => response.write(bytes.subarray(45)));
  });
  const abort = new AbortController();
  const events: string[] = [];
  for await (const { type, object } of client.resources.watch(vs, {
    resourceVersion: "1",
    signal: abort.signal,
  })) {
    events.push(`${type} ${object.metadata.name}`);
    if (events.length === 2) abort.abort();
  }
  expect(events).toEqual(["ADDED grüße", "DELETED grüße"]);
});

test("watch begins with what is there and continues where a watch ended", async () => {
  const abort = new AbortController();
  const event = (type: string, revision: string) =>
    `${JSON.stringify({ type, object: { metadata: { name: "a", resourceVersion: revision } } })}\n`;
  const { client, seen } = await serve(({ path }, response) => {
    if (!path.includes("watch=true"))
      answer(response, 200, { items: [{ metadata: { name: "a" } }], metadata: { resourceVersion: "5" } });
    else if (path.includes("resourceVersion=5"))
      response.end(event("MODIFIED", "6") + event("BOOKMARK", "9"));
    else response.end(event("DELETED", "10"));
  });
  const events: string[] = [];
  for await (const { type } of client.resources.watch(vs, { signal: abort.signal })) {
    events.push(type);
    if (type === "DELETED") abort.abort();
  }
  expect(events).toEqual(["ADDED", "MODIFIED", "DELETED"]);
  expect(seen.map(({ path }) => /resourceVersion=(\d+)/.exec(path)?.[1])).toEqual([undefined, "5", "9"]);
});

test("watch gives up when the server ends it at once", async () => {
  const { client } = await serve((_call, response) => response.end());
  const events = client.resources.watch(vs, { resourceVersion: "1", signal: new AbortController().signal });
  expect(await failure(events.next())).toMatchObject({ kind: "unavailable", code: "CLIENT_DISCONNECTED" });
});

test("watch throws the error that an ERROR event says", async () => {
  const { client } = await serve((_call, response) => {
    const object = { kind: "Status", reason: "Expired", message: "list again", code: 410 };
    response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
  });
  const events = client.resources.watch(vs, { resourceVersion: "1", signal: new AbortController().signal });
  expect(await failure(events.next())).toMatchObject({
    kind: "exhausted",
    code: "API_EXPIRED",
    message: "list again",
  });
});

test("registry speaks Consul's API and repeats its plain-text refusals", async () => {
  const { client, seen } = await serve(({ path }, response) => {
    if (path.startsWith("/v1/catalog/services")) answer(response, 200, { web: ["v1"], api: [] });
    else if (path.startsWith("/v1/health/service")) answer(response, 200, []);
    else if (path.includes("missing")) {
      response.writeHead(404);
      response.end('Unknown service ID "missing"\n');
    } else response.end();
  });
  await client.registry.register({ Name: "web", Port: 80, Namespace: "shop" });
  await client.registry.maintenance("web 1", true, { reason: "upgrade" });
  await client.registry.updateCheck("service:web", "passing");
  expect(await client.registry.services()).toEqual([
    { name: "api", tags: [] },
    { name: "web", tags: ["v1"] },
  ]);
  expect(await client.registry.health("web", { passing: true, namespace: "shop" })).toEqual([]);
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "PUT /v1/agent/service/register?ns=shop",
    "PUT /v1/agent/service/maintenance/web%201?enable=true&reason=upgrade",
    "PUT /v1/agent/check/update/service%3Aweb",
    "GET /v1/catalog/services",
    "GET /v1/health/service/web?ns=shop&passing=true",
  ]);
  expect(await failure(client.registry.deregister("missing"))).toMatchObject({
    kind: "not-found",
    message: 'Unknown service ID "missing"',
  });
});

test("info, status and joinToken call the control plane's own API", async () => {
  const { client, seen } = await serve(({ path }, response) => answer(response, 200, { path }));
  expect(await client.info()).toMatchObject({ path: "/tulle/v1/info" });
  expect(await client.status()).toMatchObject({ path: "/tulle/v1/status" });
  await client.joinToken({ namespace: "shop", serviceAccount: "web" });
  expect(seen.at(-1)).toMatchObject({
    method: "POST",
    path: "/tulle/v1/join-tokens",
    body: { namespace: "shop", serviceAccount: "web" },
  });
});

test("a token goes along in a header, and never in plaintext to another machine", async () => {
  const fields: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    fields.push(request.headers.authorization);
    expect(request.url).not.toContain("secret");
    answer(response, 200, {});
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await createClient({ server: `http://127.0.0.1:${port}`, token: "secret" }).info();
  await createClient({ server: `http://127.0.0.1:${port}` }).info();
  expect(fields).toEqual(["Bearer secret", undefined]);
  for (const other of [
    "http://10.0.0.1:8500",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
  ]) {
    expect(() => createClient({ server: other, token: "secret" })).toThrow(/in plaintext/);
  }
  expect(createClient({ server: "https://mesh.example:8500", token: "secret" }).server).toContain("https:");
});

test("a call says what to do when no control plane listens", async () => {
  const { client } = await serve(() => {});
  const [server] = servers.splice(0);
  await new Promise((resolve) => server?.close(resolve));
  expect(await failure(client.info())).toMatchObject({
    kind: "unavailable",
    code: "CLIENT_UNREACHABLE",
    message: `no control plane at ${client.server}: start one with \`tulle up\` or set TULLE_SERVER`,
  });
});

test("a call ends after its timeout when the server does not answer", async () => {
  const clock = new FakeClock();
  const { client: other, seen } = await serve(() => {});
  const client = createClient({ server: other.server, clock });
  const failed = failure(client.info());
  await eventually(() => seen.length === 1);
  await clock.advance(10_000);
  expect(await failed).toMatchObject({
    kind: "timeout",
    code: "CLIENT_TIMEOUT",
    message: expect.stringContaining("within 10 s"),
  });
});

test("a call says when something else than a control plane answers", async () => {
  const { client } = await serve((_call, response) => response.end("<html>"));
  expect(await failure(client.info())).toMatchObject({ code: "CLIENT_UNEXPECTED_ANSWER" });
  expect(await failure(client.resources.get(vs, { name: "a" }))).toMatchObject({
    code: "CLIENT_UNEXPECTED_ANSWER",
  });
});

test("createClient refuses what is no URL", () => {
  expect(() => createClient({ server: "ftp://a" })).toThrow(/is not a URL of a control plane/);
  expect(() => createClient({ server: "http://" })).toThrow(/is not a URL of a control plane/);
});

test("the server's warnings come with the answer", async () => {
  const warning = ['299 - "spec.a is \\"old\\""', '299 - "b, c"'];
  const { client } = await serve((_call, response) =>
    answer(response, 200, { metadata: { name: "a" } }, { warning }),
  );
  const { warnings } = await client.resources.create(vs, { metadata: { name: "a" } });
  expect(warnings).toEqual(['spec.a is "old"', "b, c"]);
  expect(warningsOf(null)).toEqual([]);
});
