import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import { MeshError } from "@tulle/base";
import { afterEach, expect, test } from "vitest";

import { AddressGuard } from "./address-guard.js";
import { guardedFetch } from "./guarded-fetch.js";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const LOCAL = new AddressGuard({ blocked: [], allowed: ["127.0.0.1/32"] });

function get(url: string, guard = LOCAL, timeoutMs = 5000): Promise<string> {
  return guardedFetch(url, { guard, timeoutMs, maxBytes: 1000 });
}

async function failureOf(fetched: Promise<string>): Promise<MeshError> {
  return fetched.then(
    () => Promise.reject(new Error("it was fetched")),
    (thrown: unknown) => MeshError.from(thrown),
  );
}

test.each([
  ["127.0.0.1", false],
  ["127.9.9.9", false],
  ["0.0.0.0", false],
  ["169.254.169.254", false],
  ["100.100.100.200", false],
  ["224.0.0.1", false],
  ["255.255.255.255", false],
  ["::1", false],
  ["::", false],
  ["::ffff:127.0.0.1", false],
  ["::ffff:169.254.169.254", false],
  ["::ffff:7f00:1", false],
  ["64:ff9b::7f00:1", false],
  ["2002:7f00:1::", false],
  ["fe80::1", false],
  ["fe80::1%eth0", false],
  ["fd00:ec2::254", false],
  ["localhost", false],
  ["", false],
  ["10.0.0.1", true],
  ["192.168.1.1", true],
  ["93.184.216.34", true],
  ["2606:2800:220:1::1", true],
])("AddressGuard says of %s: %s", (address, allowed) => {
  expect(new AddressGuard({ blocked: [], allowed: [] }).allows(address)).toBe(allowed);
});

test("AddressGuard takes more blocks, and exceptions", () => {
  const guard = new AddressGuard({
    blocked: ["10.0.0.0/8", "fc00::/7"],
    allowed: ["10.1.0.0/16", "127.0.0.1/32"],
  });
  const asked = ["10.0.0.1", "::ffff:10.0.0.1", "fd12::1", "10.1.2.3", "127.0.0.1", "127.0.0.2"];
  expect(asked.map((address) => guard.allows(address))).toEqual([false, false, false, true, true, false]);
  for (const bad of ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/8/8", "::/129", "1.2.3.4/-1"])
    expect(() => new AddressGuard({ blocked: [bad], allowed: [] })).toThrow(/no block of addresses/);
});

test("guardedFetch gets a text, through redirects", async () => {
  const port = await serve(({ url }, response) => {
    if (url === "/a") response.writeHead(302, { location: "/b?x=1" }).end();
    else response.end(`text of ${url}`);
  });
  expect(await get(`http://127.0.0.1:${port}/a`)).toBe("text of /b?x=1");
});

test.each([
  "http://127.0.0.1:PORT/",
  "http://localhost:PORT/",
  "http://2130706433:PORT/",
  "http://0177.0.0.1:PORT/",
  "http://0x7f.1:PORT/",
  "http://[::ffff:127.0.0.1]:PORT/",
  "http://[::1]:PORT/",
  "http://0:PORT/",
])("guardedFetch does not ask %s", async (url) => {
  let asked = 0;
  const port = await serve((_request, response) => {
    asked++;
    response.end("secret");
  });
  const guard = new AddressGuard({ blocked: [], allowed: [] });
  expect((await failureOf(get(url.replace("PORT", String(port)), guard))).kind).toBe("denied");
  expect(asked).toBe(0);
});

test.each([
  ["to the metadata service", "http://169.254.169.254/latest/meta-data/", "denied"],
  ["to a file", "file:///etc/passwd", "unavailable"],
  ["to a user", "http://user:secret@127.0.0.1/", "unavailable"],
  ["to nothing", "http://[", "unavailable"],
  ["for ever", "/", "unavailable"],
])("guardedFetch does not follow a redirect %s", async (_what, location, kind) => {
  const port = await serve((_request, response) => response.writeHead(302, { location }).end());
  const failure = await failureOf(get(`http://127.0.0.1:${port}/`));
  expect(failure.kind).toBe(kind);
  expect(failure.message).not.toContain("secret");
});

test.each<[string, RequestListener, string]>([
  ["404", (_request, response) => response.writeHead(404).end(), "answered 404"],
  ["too much", (_request, response) => response.end("x".repeat(2000)), "longer than 1000 bytes"],
  [
    "half an answer",
    (_request, response) => void response.writeHead(200).write("x", () => response.destroy()),
    "aborted",
  ],
])("guardedFetch fails upon %s", async (_what, listener, expected) => {
  const port = await serve(listener);
  expect((await failureOf(get(`http://127.0.0.1:${port}/`))).message).toContain(expected);
});

test("guardedFetch waits no longer than it may", async () => {
  const port = await serve((_request, response) => void response.write("x"));
  expect((await failureOf(get(`http://127.0.0.1:${port}/`, LOCAL, 50))).message).toContain("in time");
});
