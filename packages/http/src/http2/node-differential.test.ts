import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
} from "node:http2";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { eventually } from "@tulle/testkit";
import { expect, test } from "vitest";
import { Peer } from "../testing/http2-peer.js";
import type { Http2Options } from "./contract.js";

/** Puts a session onto a socket, as a connection of the proxy would: one flush a turn, back-pressure told. */
function attach(socket: Socket, peer: Peer): { commit(): void } {
  let queued = false;
  const flush = (): void => {
    queued = false;
    if (peer.sink.length > 0) {
      socket.write(peer.sink.take(), () => {
        peer.session.flushed(socket.writableLength);
        commit();
      });
      peer.session.flushed(socket.writableLength);
      commit();
    }
    if (peer.session.error !== undefined || peer.session.drain === "drained") socket.end();
  };
  const commit = (): void => {
    if (queued) return;
    queued = true;
    setImmediate(flush);
  };
  const feed = (chunk: Buffer, at: number): void => {
    const end = at + peer.session.execute(chunk, at, chunk.length, performance.now());
    commit();
    if (end === chunk.length || peer.session.error !== undefined) return;
    socket.pause();
    setImmediate(() => {
      // First: `feed` pauses again when there is still more.
      socket.resume();
      feed(chunk, end);
    });
  };
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => feed(chunk, 0));
  commit();
  return { commit };
}

/** Our server, answering each complete request by `answer`; node's client connected to it. */
async function ourServer(
  answer: (peer: Peer, id: number) => void,
  options?: Http2Options,
): Promise<{ client: ClientHttp2Session; peers: Peer[]; close: () => Promise<void> }> {
  const peers: Peer[] = [];
  const server: Server = createServer((socket) => {
    const peer = new Peer("server", options);
    peers.push(peer);
    const connection = attach(socket, peer);
    peer.after = (event) => {
      if (event.type === "end") answer(peer, event.id);
      connection.commit();
    };
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => {});
  return {
    client,
    peers,
    close: async () => {
      client.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

interface Answer {
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

async function ask(
  client: ClientHttp2Session,
  fields: Record<string, string>,
  body?: Buffer,
  trailers?: Record<string, string>,
): Promise<Answer> {
  const stream = client.request(fields, { waitForTrailers: trailers !== undefined });
  const answer = { headers: {}, body: "", trailers: {} };
  stream.on("response", (headers) => (answer.headers = { ...headers }));
  stream.on("trailers", (headers) => (answer.trailers = { ...headers }));
  stream.setEncoding("latin1");
  stream.on("data", (text: string) => (answer.body += text));
  if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
  await once(stream, "end");
  return answer;
}

/** Body bytes of a stream as our side heard them. */
function bodyOf(peer: Peer, id: number): string {
  return peer.events
    .flatMap((event) => (event.type === "data" && event.id === id ? [event.text] : []))
    .join("");
}

/** Sends a body by what the windows allow. */
function sendBody(peer: Peer, id: number, body: Buffer, done: () => void): void {
  const sent = positions.get(peer) ?? new Map<number, () => void>();
  positions.set(peer, sent);
  let at = 0;
  const go = (): void => {
    at += peer.session.submitData(id, body, at, body.length, false);
    if (at === body.length) {
      sent.delete(id);
      done();
    }
  };
  sent.set(id, go);
  peer.onWritable = (writable) => sent.get(writable)?.();
  go();
}
const positions = new WeakMap<Peer, Map<number, () => void>>();

test("createServerSession serves node:http2's client: bodies through flow control, trailers, 103", async () => {
  const big = Buffer.alloc(3_000_000, "0123456789abcdef");
  const { client, peers, close } = await ourServer((peer, id) => {
    peer.session.submitHeaders(id, 103, ["Link", "</a>; rel=preload"], false);
    peer.session.submitHeaders(
      id,
      201,
      ["X-Path", peer.of("headers").find((event) => event.id === id)!.head.path, "x-obs", "h\u00e9"],
      false,
    );
    sendBody(peer, id, Buffer.from(bodyOf(peer, id), "latin1"), () =>
      peer.session.submitTrailers(id, ["Sum", "42"]),
    );
  });
  const answer = await ask(
    client,
    { ":path": "/p?q=1", ":method": "POST", "x-a": "b", cookie: "a=b; c=d" },
    big,
    { "x-check": "7" },
  );
  expect(answer.headers).toMatchObject({ ":status": 201, "x-path": "/p?q=1" });
  expect(answer.body === big.toString("latin1")).toBe(true);
  expect(answer.trailers).toMatchObject({ sum: "42" });
  const [peer] = peers;
  expect(peer!.of("trailers")[0]!.trailers).toEqual(["x-check", "7"]);
  expect(peer!.heads[0]).toMatchObject({ method: "POST", scheme: "http", path: "/p?q=1" });
  expect(peer!.heads[0]!.headers.join()).toContain("cookie,a=b; c=d");
  await close();
});

test("createServerSession serves 1,000 streams of node:http2's client, a hundred at once", async () => {
  const { client, peers, close } = await ourServer(
    (peer, id) => {
      peer.session.submitHeaders(id, 200, ["content-type", "text/plain", "x-id", String(id)], false);
      peer.session.submitData(id, Buffer.from("ok"), 0, 2, true);
    },
    { limits: { maxConcurrentStreams: 100 } },
  );
  await once(client, "remoteSettings");
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => ask(client, { ":path": `/${i}`, "x-common": "the same" })),
  );
  expect(answers.every(({ body, headers }) => body === "ok" && headers[":status"] === 200)).toBe(true);
  expect(new Set(answers.map(({ headers }) => headers["x-id"])).size).toBe(1000);
  expect(peers[0]!.session.openStreams).toBe(0);
  expect(peers[0]!.of("refused")).toEqual([]);
  await close();
});

test("createServerSession and node:http2's client cancel, ping and drain", async () => {
  const { client, peers, close } = await ourServer((peer, id) => {
    if (peer.heads.at(-1)!.path === "/fast") peer.session.submitHeaders(id, 204, [], true);
  });
  const slow = client.request({ ":path": "/slow" });
  slow.on("error", () => {});
  slow.end();
  await eventually(() => peers[0]?.of("end").length === 1);
  slow.close(constants.NGHTTP2_CANCEL);
  await eventually(() => peers[0]!.of("reset").length === 1);
  expect(peers[0]!.of("reset")[0]).toMatchObject({ code: constants.NGHTTP2_CANCEL, refusal: undefined });
  await new Promise<void>((resolve, reject) => client.ping((error) => (error ? reject(error) : resolve())));
  expect((await ask(client, { ":path": "/fast" })).headers[":status"]).toBe(204);
  peers[0]!.session.goAway(0, true);
  const [code] = await Promise.all([
    once(client, "goaway"),
    once(client, "close"),
    ask(client, { ":path": "/fast" }).catch(() => {}),
  ]);
  expect(code[0]).toBe(0);
  expect(peers[0]!.session.drain).toBe("drained");
  await close();
});

test("createClientSession talks to node:http2's server: 1,000 streams, big bodies, trailers, resets, GOAWAY", async () => {
  const server = createHttp2Server({
    peerMaxConcurrentStreams: 2000,
    settings: { maxConcurrentStreams: 2000, headerTableSize: 8192 },
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] === "/reset") {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    stream.respond(
      { ":status": 200, "x-echo": String(headers["x-n"]), "content-type": "text/plain" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.pipe(stream);
  });
  server.on("session", (session) => session.on("error", () => {}));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  const peer = new Peer("client", { streamWindowBytes: 262_144, connectionWindowBytes: 4_194_304 });
  const connection = attach(socket, peer);
  peer.after = () => connection.commit();
  await eventually(() => peer.settings !== undefined);
  const request = (path: string, n: string, endStream: boolean): number =>
    peer.session.submitRequest(
      {
        method: "POST",
        scheme: "http",
        authority: "localhost",
        path,
        protocol: "",
        headers: ["X-N", n, "Accept", "*/*"],
      },
      endStream,
    );
  const ids = Array.from({ length: 1000 }, (_, i) => request(`/${i % 7}`, String(i), true));
  connection.commit();
  const big = Buffer.alloc(2_000_000, "fedcba9876543210");
  const bigId = request("/big", "big", false);
  sendBody(peer, bigId, big, () => peer.session.submitTrailers(bigId, []));
  const resetId = request("/reset", "x", true);
  connection.commit();
  await eventually(() => peer.of("end").length === 1001 && peer.of("reset").length === 1);
  expect(peer.of("reset")[0]).toMatchObject({ id: resetId, code: constants.NGHTTP2_INTERNAL_ERROR });
  expect(bodyOf(peer, bigId) === big.toString("latin1")).toBe(true);
  const echoes = new Map(
    peer.of("headers").map(({ id, head }) => [id, head.headers[head.headers.indexOf("x-echo") + 1]]),
  );
  expect(ids.every((id, i) => echoes.get(id) === String(i))).toBe(true);
  expect(peer.of("trailers")).toHaveLength(1001);
  expect(peer.session.error).toBeUndefined();
  expect(peer.session.openStreams).toBe(0);
  peer.session.goAway(0, false);
  connection.commit();
  await once(socket, "close");
  server.close();
});
