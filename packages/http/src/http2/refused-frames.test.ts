import { describe, expect, test } from "vitest";
import {
  END_HEADERS,
  END_STREAM,
  OPEN,
  PADDED,
  clientStart,
  continuation,
  data,
  frame,
  get,
  goaway,
  headers,
  many,
  ping,
  post,
  priority,
  rst,
  settings,
  windowUpdate,
} from "../testing/http2-frames.js";
import { Peer } from "../testing/http2-peer.js";
import { REFUSED_CONNECTIONS } from "../testing/refused-connections.js";

describe.each(REFUSED_CONNECTIONS)("%s", (_, bytes, [refusal, code], options) => {
  test.each([
    ["whole", []],
    ["a byte a segment", everyByte(bytes)],
  ] as const)("createServerSession fails the connection when it comes %s", (_delivery, cuts) => {
    const peer = new Peer("server", options);
    peer.consumes = false;
    peer.feed(bytes, cuts);
    expect(peer.session.error?.code).toBe(refusal);
    expect(peer.events.at(-1)).toEqual({ type: "error", code, refusal });
    expect(peer.of("error")).toHaveLength(1);
    const last = peer.frames().at(-1)!;
    expect(last).toMatchObject({ type: 7, streamId: 0 });
    expect(last.payload.readUInt32BE(4)).toBe(code);
    // Nothing more is taken, and nothing more is said.
    expect(peer.session.execute(bytes, 0, bytes.length, 2)).toBe(0);
    expect(peer.session.submitHeaders(1, 200, [], true)).toBe(false);
    expect(peer.sink.length).toBe(0);
  });
});

/** What a peer may do without harm: the connection lives, and a PING after it is answered. */
const TOLERATED: [name: string, bytes: Buffer][] = [
  [
    "H2-04 one empty DATA frame",
    clientStart(OPEN, data(1, ""), data(1, "x"), data(1, ""), data(1, "", END_STREAM)),
  ],
  [
    "PRIORITY of streams that never come",
    clientStart(priority(3, 0), priority(5, 3), headers(7, get()), priority(1, 7)),
  ],
  [
    "an unknown frame, unknown flags, the reserved bit",
    clientStart(frame(0x42, 0xff, 3, "abc"), frame(6, 0xfe, 0x80000000 | 0, "12345678")),
  ],
  ["an unknown setting", clientStart(settings(0x99, 7, 3, 100))],
  [
    "WINDOW_UPDATE, PRIORITY, RST_STREAM after a stream's end",
    clientStart(OPEN, rst(1), windowUpdate(1, 9), priority(1, 3), rst(1)),
  ],
  ["GOAWAY with an unknown code", clientStart(OPEN, goaway(0, 0xff))],
  ["an acknowledged PING that nobody sent", clientStart(ping("abcdefgh", 1))],
  [
    "padding",
    clientStart(
      headers(1, Buffer.concat([Buffer.of(3), post(), Buffer.from("pad")]), END_HEADERS | PADDED),
      data(1, "\x02hipp", PADDED | END_STREAM),
    ),
  ],
  [
    "a head in 16 CONTINUATION frames",
    clientStart(
      headers(1, get().subarray(0, 10), END_STREAM),
      many(15, (i) => continuation(1, get().subarray(10 + i, 11 + i), 0)),
      continuation(1, get().subarray(25)),
    ),
  ],
];

test.each(TOLERATED)("createServerSession goes on after %s", (_, bytes) => {
  for (const cuts of [[], everyByte(bytes)]) {
    const peer = new Peer("server");
    peer.feed(bytes, cuts);
    peer.output();
    peer.feed(ping("alive..."));
    expect(peer.session.error).toBeUndefined();
    expect(peer.frames()).toContainEqual({
      type: 6,
      flags: 1,
      streamId: 0,
      payload: Buffer.from("alive..."),
    });
    expect(peer.of("refused")).toEqual([]);
  }
});

function everyByte(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
}
