import fc from "fast-check";
import { expect, test } from "vitest";

import { decodePeerMetadata } from "./filters/peer-metadata.js";
import { AuthorityCache } from "./stream/authority-cache.js";
import { hashRequestId } from "./stream/decision.js";
import {
  compileAccessLogFormat,
  escapeLogValue,
  type AccessLogEntry,
} from "./telemetry/access-log-format.js";

const ID = "spiffe://cluster.local/ns/default/sa/a";
const HOSTILE: AccessLogEntry = {
  startTimeMs: 0,
  durationMs: 0,
  responseCode: 0,
  bytesReceived: 0,
  bytesSent: 0,
  attemptCount: 0,
  method: "a\nb",
  path: "/\n",
  authority: "\n",
  scheme: "",
  protocol: "",
  requestHeaders: ["a", "b\n"],
  responseHeaders: ["a", "b\n"],
  responseFlags: "",
  responseCodeDetails: "",
  connectionTerminationDetails: "",
  upstreamTransportFailureReason: "\n",
  upstreamHost: "",
  upstreamCluster: "",
  upstreamLocalAddress: "",
  downstreamLocalAddress: "",
  downstreamRemoteAddress: "",
  downstreamPeerUriSan: "",
  requestedServerName: "",
  routeName: "",
  requestId: "",
};
const text = fc.string({ unit: "binary", maxLength: 200 });

test("decodePeerMetadata takes anything and gives labels of the peer's namespace or nothing", () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.base64String({ maxLength: 2000 })), (value) => {
      const labels = decodePeerMetadata(value, ID);
      if (labels !== undefined) expect(labels.namespace).toBe("default");
    }),
  );
});

test("H1-30 escapeLogValue leaves nothing that could end a line, a quote or a terminal's state", () => {
  fc.assert(
    fc.property(text, (value) => {
      // oxlint-disable-next-line no-control-regex -- control characters are what must be gone
      expect(escapeLogValue(value)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]|(?<!\\)(?:\\\\)*"/);
    }),
  );
});

test("compileAccessLogFormat compiles any text and prints one line", () => {
  const part = fc.oneof(
    text,
    fc.constantFrom("%REQ(", "%REQ(A?B):3%", "%START_TIME(%Y)%", "%%", "%DURATION%", "\n"),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const format = parts.join("");
      const line = compileAccessLogFormat(format)(HOSTILE);
      expect(line.split("\n").length).toBeLessThanOrEqual(format.split("\n").length);
    }),
  );
});

test("AuthorityCache answers the same for the same text, and never with an unsafe character", () => {
  const cache = new AuthorityCache();
  fc.assert(
    fc.property(fc.oneof(text, fc.domain(), fc.ipV4(), fc.ipV6()), (value) => {
      const canonical = cache.canonical(value);
      expect(cache.canonical(value)).toBe(canonical);
      expect(canonical).toMatch(/^[a-z0-9._:[\]~!$&'()*+,;=%-]*$/);
    }),
  );
});

test("hashRequestId gives 32 bits that spread over ids which differ in one character", () => {
  const buckets = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) {
    const hash = hashRequestId(`00000000-0000-4000-8000-${String(i).padStart(12, "0")}`);
    expect(hash).toBe(hash >>> 0);
    const bucket = Math.floor((hash / 2 ** 32) * 10);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200);
});
