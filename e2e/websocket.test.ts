import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";

import { call, callJson } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, urlOf, type Workload } from "./support/workload.js";

// WebSocket, other upgrades and CONNECT from application to application, through two sidecars with mutual TLS.

const APP = (name: string): string[] => [
  process.execPath,
  fileURLToPath(new URL(`support/apps/${name}.mjs`, import.meta.url)),
];

let mesh: Mesh;
let server: Workload;
let caller: Workload;
let accessLog: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  accessLog = join(mesh.directory, "access.log");
  const started = await Promise.all([
    // Declared: of 200 clients that connect at once some are silent for so long that detection would open ways for them.
    mesh.run({ service: "socket", command: APP("socket"), args: ["--protocol", "http"] }),
    mesh.run({ service: "banner", command: APP("banner"), healthPath: "", args: ["--protocol", "tcp"] }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "socket:8080", "--access-log", accessLog] }),
  ]);
  server = started[0];
  caller = started[2];
  await caller.knows(clusterOf("socket"), 1);
}, 60_000);

afterAll(() => mesh.end());

/** An open WebSocket; what comes is kept for `next`. */
class Talk {
  readonly socket: WebSocket;
  closed = "";
  readonly #messages: (Buffer | string)[] = [];

  constructor(
    path: string,
    options: { readonly deflate?: boolean; readonly headers?: Record<string, string> } = {},
  ) {
    const { host } = new URL(caller.upstream("socket:8080"));
    this.socket = new WebSocket(`ws://${host}${path}`, ["chat"], {
      perMessageDeflate: options.deflate ?? false,
      headers: options.headers ?? {},
    });
    this.socket.on("message", (data: Buffer, isBinary: boolean) =>
      this.#messages.push(isBinary ? data : data.toString()),
    );
    this.socket.on("close", (code, reason) => (this.closed ||= `${code} ${reason.toString()}`));
    this.socket.on("error", (error) => (this.closed ||= error.message));
  }

  async open(): Promise<this> {
    await eventually(() => this.socket.readyState === WebSocket.OPEN || this.closed !== "");
    expect(this.closed).toBe("");
    return this;
  }

  async next(): Promise<Buffer | string> {
    await eventually(() => this.#messages.length > 0 || this.closed !== "");
    const message = this.#messages.shift();
    if (message === undefined) throw new Error(`closed: ${this.closed}`);
    return message;
  }

  async end(): Promise<string> {
    return eventually(() => this.closed || undefined);
  }
}

async function serverSaw(code: string): Promise<void> {
  const closed = (): Promise<unknown> => callJson(`http://127.0.0.1:${server.ready.appPort}/closed`);
  await eventually(async () => ((await closed()) as string[]).includes(code));
}

test("messages come back, small ones and a MiB of bytes", async () => {
  const talk = await new Talk("/echo").open();
  talk.socket.send("hello");
  expect(await talk.next()).toBe("hello");
  const bytes = randomBytes(1024 * 1024);
  for (let i = 0; i < 8; i++) talk.socket.send(bytes);
  for (let i = 0; i < 8; i++) expect(bytes.equals((await talk.next()) as Buffer)).toBe(true);
  talk.socket.close();
  expect(await talk.end()).toBe("1005 ");
});

test("close codes go both ways, whoever begins", async () => {
  const ours = await new Talk("/echo").open();
  ours.socket.close(4002, "ours");
  expect(await ours.end()).toBe("4002 ours");
  await serverSaw("4002 ours");
  const theirs = await new Talk("/echo").open();
  theirs.socket.send("close 4001 theirs");
  expect(await theirs.end()).toBe("4001 theirs");
  const leaving = new Talk("/leaving");
  expect(await leaving.next()).toBe("only this");
  expect(await leaving.end()).toBe("1001 leaving");
});

test("pings are answered from end to end, both ways", async () => {
  const talk = await new Talk("/echo").open();
  const pong = new Promise<string>((resolve) => talk.socket.once("pong", (data) => resolve(data.toString())));
  talk.socket.ping("over there?");
  expect(await pong).toBe("over there?");
  talk.socket.send("ping");
  expect(await talk.next()).toBe("pong are you there");
  talk.socket.terminate();
  await serverSaw("1006 ");
});

test("extensions and subprotocols are the ends' business", async () => {
  const talk = await new Talk("/echo", { deflate: true }).open();
  expect(talk.socket.extensions).toBe("permessage-deflate");
  expect(talk.socket.protocol).toBe("chat");
  const text = "again ".repeat(50_000);
  talk.socket.send(text);
  expect(await talk.next()).toBe(text);
  const plain = await new Talk("/echo").open();
  expect(plain.socket.extensions).toBe("");
  for (const each of [talk, plain]) each.socket.close();
});

test("a refused handshake is told, and its connection serves the next request", async () => {
  const refused = new Talk("/refused");
  expect(await refused.end()).toContain("401");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const url = caller.upstream("socket:8080");
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  for (let i = 0; i < 3; i++) {
    expect(await call(url, { target: "/refused", headers, agent })).toMatchObject({
      status: 401,
      body: "no\n",
    });
    const answer = (await callJson(url, { target: "/after", agent })) as { url: string };
    expect(answer.url).toBe("/after");
  }
  const logged = await eventually(() => {
    const lines = readFileSync(accessLog, "utf8").split("\n");
    const found = lines.filter((line) => /"GET \/(after|refused) /.test(line)).slice(1);
    return found.length === 6 && found;
  });
  const ports = new Set(logged.map((line) => / 127\.0\.0\.1:(\d+) - default$/.exec(line)?.[1] ?? line));
  expect(ports.size).toBe(1);
  agent.destroy();
});

test("200 sockets share one connection between the sidecars", async () => {
  const before = await connectionsOf(caller);
  const talks = await Promise.all(Array.from({ length: 200 }, () => new Talk("/echo").open()));
  await Promise.all(
    talks.map(async (talk, i) => {
      for (let round = 0; round < 5; round++) {
        talk.socket.send(`${i} ${round}`);
        expect(await talk.next()).toBe(`${i} ${round}`);
      }
    }),
  );
  expect(await connectionsOf(caller)).toBe(before);
  // And others go on beside them.
  expect((await call(`${caller.upstream("socket:8080")}/plain`)).status).toBe(200);
  for (const talk of talks) talk.socket.close(1000);
  for (const talk of talks) expect(await talk.end()).toBe("1000 ");
}, 30_000);

/** Connections that a sidecar has made to `socket` so far. */
async function connectionsOf(workload: Workload): Promise<number> {
  const name = clusterOf("socket").replaceAll("|", "\\|");
  const pattern = new RegExp(`envoy_cluster_upstream_cx_total\\{[^}]*"${name}"\\} (\\d+)`);
  return Number(pattern.exec(await workload.metrics())?.[1]);
}

test("a tunnel is one line and one count, with its bytes, at its end and on both sides", async () => {
  const talk = await new Talk("/echo?counted").open();
  talk.socket.send("x".repeat(1000));
  await talk.next();
  const line = (): string | undefined =>
    readFileSync(accessLog, "utf8")
      .split("\n")
      .find((text) => text.includes("/echo?counted"));
  expect(line()).toBeUndefined();
  talk.socket.close(1000);
  await talk.end();
  const logged = await eventually(line);
  const [, received, sent] = / 101 - via_upstream - "-" (\d+) (\d+) /.exec(logged) ?? [];
  expect(Number(received)).toBeGreaterThan(1000);
  expect(Number(sent)).toBeGreaterThan(1000);
  for (const workload of [caller, server]) {
    expect(await workload.metrics()).toMatch(/istio_requests_total\{[^}]*response_code="101"[^}]*\} \d+/);
  }
});

/** Waits until `socket` has said `wanted`; gives all that it said. */
async function said(socket: Socket, text: () => string, wanted: string): Promise<string> {
  await eventually(() => text().includes(wanted) || socket.destroyed);
  return text();
}

test("a protocol of one's own is carried as bytes", async () => {
  const { port } = new URL(caller.upstream("socket:8080"));
  const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.write("GET /any HTTP/1.1\r\nHost: socket\r\nConnection: Upgrade\r\nUpgrade: shout/1\r\n\r\n");
  const answer = await said(socket, () => text, "READY\n");
  expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(answer).toContain("\r\nUpgrade: shout/1\r\n");
  socket.write("louder");
  await said(socket, () => text, "LOUDER");
  socket.end();
  await said(socket, () => text, "BYE\n");
  await eventually(() => socket.readableEnded);
});

test("an instance that leaves cuts its tunnels at the end of its time", async () => {
  const leaving = await mesh.run({
    service: "short",
    command: APP("socket"),
    args: ["--drain", "2s"],
  });
  const asker = await mesh.sidecar({ service: "asker", args: ["--upstream", "short:8080"] });
  await asker.knows(clusterOf("short"), 1);
  const { host } = new URL(asker.upstream("short:8080"));
  const socket = new WebSocket(`ws://${host}/echo`);
  let closed = 0;
  socket.on("close", (code) => (closed = code));
  socket.on("error", () => undefined);
  await eventually(() => socket.readyState === WebSocket.OPEN);
  leaving.process.signal("SIGTERM");
  await asker.knows(clusterOf("short"), 0);
  let answered = "";
  socket.on("message", (data: Buffer) => (answered = data.toString()));
  socket.send("still here");
  await eventually(() => answered === "still here");
  await eventually(() => closed === 1006);
  await leaving.process.exited;
}, 30_000);

function hasCurl(): boolean {
  try {
    execFileSync("curl", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/** What curl prints, with its exit code before it. */
function curl(...args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(
      "curl",
      ["--silent", "--show-error", "--no-buffer", "--max-time", "10", ...args],
      (error, stdout, stderr) =>
        resolve(`${typeof error?.code === "number" ? error.code : 0} ${stdout}${stderr}`),
    );
    child.stdin?.end("hello\r\n");
    // As telnet it goes on until the server ends.
    child.stdout?.on("data", (data: string) => {
      if (data.includes("HELLO")) child.kill();
    });
  });
}

test.skipIf(!hasCurl())(
  "curl --proxytunnel reaches an HTTP service through CONNECT (needs curl)",
  async () => {
    const proxy = urlOf(caller.ready.addresses.outbound);
    const answer = await curl("--proxytunnel", "--proxy", proxy, "http://socket:8080/tunnelled");
    expect(answer).toMatch(/^0 \{"method":"GET","url":"\/tunnelled"/);
    expect(answer).toContain('"host":"socket:8080"');
    // Named in full, as any authority may be.
    const full = "http://socket.default.svc.cluster.local:8080/";
    expect(await curl("--proxytunnel", "--proxy", proxy, full)).toMatch(/^0 \{"method":"GET"/);
  },
);

test.skipIf(!hasCurl())("curl --proxytunnel reaches a TCP service through CONNECT (needs curl)", async () => {
  const proxy = urlOf(caller.ready.addresses.outbound);
  const answer = await curl("--proxytunnel", "--proxy", proxy, "telnet://banner:8080");
  expect(answer).toContain("220 banner ready\r\nHELLO\r\n");
});

test.skipIf(!hasCurl())("curl --proxytunnel is refused what is not of the mesh (needs curl)", async () => {
  const proxy = urlOf(caller.ready.addresses.outbound);
  const { host, port } = caller.ready.addresses.admin;
  for (const [target, status] of [
    ["nobody:80", 404],
    [`${host}:${port}`, 404],
    ["169.254.169.254:80", 404],
    [new URL(proxy).host, 508],
  ] as const) {
    const answer = await curl("--proxytunnel", "--proxy", proxy, `http://${target}/`);
    // 56, or 7 of newer ones: the proxy did not give a connection.
    expect(answer, target).toMatch(new RegExp(`^(56|7) .*${status}`, "s"));
  }
  expect((await call(`${proxy}/`, { headers: { host: "socket:8080" } })).status).toBe(200);
});
