import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";

let mesh: Mesh;

beforeAll(async () => {
  mesh = await Mesh.start();
}, 60_000);

afterAll(() => mesh.end());

test("a sidecar's readiness includes its application's, where that was asked for", async () => {
  let status = 503;
  const app = createServer((request, response) => {
    response.statusCode = request.url === "/healthy" ? status : 500;
    response.end();
  });
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  const { port } = app.address() as AddressInfo;
  try {
    const sidecar = await mesh.sidecar({
      service: "reviews",
      args: ["--port", String(port), "--health-path", "/healthy", "--ready-includes-app"],
    });
    const { readiness } = sidecar.ready.addresses;
    const ready = () => call(`http://${readiness.host}:${readiness.port}/healthz/ready`);
    expect(await ready()).toMatchObject({
      status: 503,
      body: "APPLICATION NOT READY: GET /healthy: 503\n",
    });
    status = 200;
    await eventually(async () => (await ready()).status === 200);
  } finally {
    app.close();
  }
}, 60_000);
