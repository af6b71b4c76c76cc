import { Duplex } from "node:stream";
import type { Socket } from "node:net";

import { FakeClock, settle } from "@tulle/testkit";
import { expect, test } from "vitest";

import { clientHello } from "../../test/client-hello.js";
import { TimerWheel } from "@tulle/base";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { Detection, type Found, type OpeningListener, type Verdict } from "./detection.js";
import { LearntPorts, silenceAfter } from "./learnt-ports.js";

const SILENCE_MS = 50;
/** What the fine wheel may add. */
const TICKS_MS = 20;

class Way {
  abandoned = false;
  readonly server: OpeningListener;

  constructor(server: OpeningListener) {
    this.server = server;
  }

  abandon(): void {
    this.abandoned = true;
  }
}

/** A detection over a socket whose client the test plays; the clock stands still unless it is told to go on. */
class Case {
  readonly clock = new FakeClock();
  readonly ports: LearntPorts;
  readonly client: Duplex;
  /** Everything that was opened. */
  readonly ways: Way[] = [];
  readonly detection: Detection<Way>;
  found: Found | undefined;
  head = "";
  /** What was taken over. */
  way: Way | undefined;
  gone = false;

  constructor(options: { ports?: LearntPorts; open?: (server: OpeningListener) => Way | undefined } = {}) {
    this.ports = options.ports ?? new LearntPorts(new MetricsRegistry());
    this.client = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), allowHalfOpen: true });
    const context = {
      fineWheel: new TimerWheel(this.clock, 10),
      coarseWheel: new TimerWheel(this.clock, 500),
    };
    const { ports } = this;
    const owner = {
      silenceMs: ports.silenceMs("db:5432", SILENCE_MS),
      learn: ({ kind }: Verdict) => ports.learn("db:5432", kind, silenceAfter(kind, SILENCE_MS)),
      open: (server: OpeningListener): Way | undefined => {
        const way = options.open === undefined ? new Way(server) : options.open(server);
        if (way !== undefined) this.ways.push(way);
        return way;
      },
      take: (found: Found, head: Buffer, way: Way | undefined): void => {
        expect(this.found).toBeUndefined();
        this.found = found;
        this.head = head.toString("latin1");
        this.way = way;
      },
      gone: () => {
        this.gone = true;
      },
    };
    this.detection = new Detection(this.client as unknown as Socket, owner, context);
    this.detection.start();
  }

  async says(text: string | Buffer): Promise<void> {
    this.client.push(text);
    await settle();
  }

  async ends(): Promise<void> {
    this.client.push(null);
    await settle();
  }
}

test.each([
  ["GET / HTTP/1.1\r\n", "http1"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"],
  ["*1\r\n", "tcp"],
  [clientHello("a.example"), "tls"],
])("Detection takes a client that speaks at once by what it says, and opens nothing", async (bytes, kind) => {
  const one = new Case();
  await one.says(bytes);
  expect(one.found).toMatchObject({ kind });
  expect(one.head).toBe(bytes.toString("latin1"));
  expect(one.ways).toEqual([]);
  expect(one.ports.all()).toEqual([{ port: "db:5432", verdict: kind, silenceMs: SILENCE_MS }]);
});

test("Detection opens the way to the server after the silence, and not before", async () => {
  const one = new Case();
  await one.clock.advance(SILENCE_MS - 1);
  expect(one.ways).toHaveLength(0);
  await one.clock.advance(1 + TICKS_MS);
  expect(one.ways).toHaveLength(1);
  expect(one.found).toBeUndefined();
  one.ways[0]?.server.onServerFirst(true);
  expect(one.found).toEqual({ kind: "server-first" });
  expect(one.way).toBe(one.ways[0]);
  expect(one.way?.abandoned).toBe(false);
});

test("Detection opens the way at once where a server was heard first, until a client is", async () => {
  const first = new Case();
  await first.clock.advance(SILENCE_MS + TICKS_MS);
  first.ways[0]?.server.onServerFirst(true);
  const { ports } = first;
  const second = new Case({ ports });
  // No time has passed.
  expect(second.ways).toHaveLength(1);
  await second.says("GET / HTTP/1.1\r\n");
  expect(second.found).toEqual({ kind: "http1" });
  expect(second.way).toBe(second.ways[0]);
  expect(new Case({ ports }).ways).toHaveLength(0);
});

test("Detection learns nothing of a server that ends without a word", async () => {
  const one = new Case();
  await one.clock.advance(SILENCE_MS + TICKS_MS);
  one.ways[0]?.server.onServerFirst(false);
  expect(one.found).toEqual({ kind: "server-first" });
  expect(one.ports.all()).toEqual([]);
});

test("Detection is not deceived by a client that connects ahead", async () => {
  const one = new Case();
  await one.clock.advance(30_000);
  expect(one.ways).toHaveLength(1);
  await one.says("GET / HTT");
  expect(one.found).toBeUndefined();
  await one.says("P/1.1\r\n");
  expect(one.found).toEqual({ kind: "http1" });
  expect(one.head).toBe("GET / HTTP/1.1\r\n");
  expect(one.way).toBe(one.ways[0]);
  // Too late.
  one.ways[0]?.server.onServerFirst(true);
  expect(one.ports.all()).toMatchObject([{ verdict: "http1" }]);
});

test("Detection gives what a client began to say to a server that speaks meanwhile", async () => {
  const one = new Case();
  await one.says("GET");
  await one.clock.advance(SILENCE_MS + TICKS_MS);
  one.ways[0]?.server.onServerFirst(true);
  expect(one.found).toEqual({ kind: "server-first" });
  expect(one.head).toBe("GET");
});

test("Detection takes first bytes that never become decisive for any others", async () => {
  const one = new Case();
  await one.says("GET");
  await one.clock.advance(9000);
  expect(one.found).toBeUndefined();
  await one.clock.advance(3000);
  expect(one.found).toEqual({ kind: "tcp" });
  expect(one.head).toBe("GET");
});

test("Detection takes what a client said before it ended", async () => {
  const some = new Case();
  await some.says("GET");
  await some.ends();
  expect([some.found, some.head]).toEqual([{ kind: "tcp" }, "GET"]);
  const nothing = new Case();
  await nothing.ends();
  expect(nothing.found).toEqual({ kind: "left" });
  const listening = new Case();
  await listening.clock.advance(SILENCE_MS + TICKS_MS);
  await listening.ends();
  expect(listening.found).toEqual({ kind: "tcp" });
  expect(listening.way).toBe(listening.ways[0]);
  // None of them says what the port carries.
  for (const { ports } of [some, nothing, listening]) expect(ports.all()).toEqual([]);
});

test("Detection waits a little for a client whose server cannot be reached", async () => {
  const speaking = new Case();
  await speaking.clock.advance(SILENCE_MS + TICKS_MS);
  speaking.ways[0]?.server.onUnreachable();
  await speaking.says("GET / HTTP/1.1\r\n");
  expect([speaking.found, speaking.way]).toEqual([{ kind: "http1" }, undefined]);
  const silent = new Case();
  await silent.clock.advance(SILENCE_MS + TICKS_MS);
  silent.ways[0]?.server.onUnreachable();
  await silent.clock.advance(2500);
  expect([silent.found, silent.way]).toEqual([{ kind: "silent" }, undefined]);
});

test("Detection takes it that there is no way, or one that fails while it is opened", async () => {
  const none = new Case({ open: () => undefined });
  await none.clock.advance(SILENCE_MS + TICKS_MS + 2500);
  expect([none.found, none.way]).toEqual([{ kind: "silent" }, undefined]);
  const failing = new Case({
    open: (server) => {
      server.onUnreachable();
      return new Way(server);
    },
  });
  await failing.clock.advance(SILENCE_MS + TICKS_MS);
  await failing.says("*1\r\n");
  expect([failing.found, failing.way]).toEqual([{ kind: "tcp" }, undefined]);
});

test("Detection lets go of everything when its client goes, or when it is closed", async () => {
  for (const end of [(one: Case) => one.client.destroy(), (one: Case) => one.detection.drain()]) {
    const one = new Case();
    await one.clock.advance(SILENCE_MS + TICKS_MS);
    end(one);
    await settle();
    expect([one.gone, one.found, one.ways[0]?.abandoned]).toEqual([true, undefined, true]);
    await one.clock.advance(1000);
    expect(one.clock.pending).toBe(0);
    expect(one.client.listenerCount("data")).toBe(0);
  }
});
