import { createRequestParser, type RequestHead } from "@tulle/http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { deliveries, feed, Recorder } from "../../../http/src/testing/record-events.js";
import { REFUSED } from "../../../http/src/testing/refused-requests.js";
import { call, closeAll, createProxy, rawBackend } from "../../test/harness.js";
import { sendInPieces } from "../../test/pieces.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

// Every class of hostile request, by its exact bytes and through a real proxy: it is refused, its connection ends,
// the server behind gets nothing that a strict parser takes for a request, and the next client is served.

const NAME = "outbound|9080||reviews.default.svc.cluster.local";
/** Longer input is not also sent a byte at a time: that is the parser's own test. */
const MAX_BYTEWISE = 600;

let port: number;
/** What each connection to the server brought. */
let received: Buffer[][];

beforeEach(async () => {
  received = [];
  const { port: backendPort } = await rawBackend((socket) => {
    const chunks: Buffer[] = [];
    received.push(chunks);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunk.includes("GET /honest ")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const proxy = createProxy();
  proxy.apply(
    cluster(NAME),
    endpoints(NAME, [{ port: backendPort }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(NAME)]),
  );
  port = await proxy.listen("reviews:9080");
});
afterEach(closeAll);

describe.each(Object.entries(REFUSED))("a proxy refuses %s", (_name, cases) => {
  // The preface of HTTP/2 is none of HTTP/1 to a parser, but a welcome beginning to a proxy.
  const refused = cases.filter(([bytes]) => !bytes.startsWith("PRI * HTTP/2.0"));
  test.each(refused.map(([bytes, status]) => [JSON.stringify(bytes).slice(0, 90), bytes, status] as const))(
    "%s",
    async (_label, text, status) => {
      const bytes = Buffer.from(text, "latin1");
      for (const [delivery, cuts] of deliveries(bytes)) {
        if (cuts.length > MAX_BYTEWISE) continue;
        const answer = await sendInPieces(port, bytes, cuts, "end");
        // Once a request was under way to the server, its client may just be cut off.
        if (answer !== "" || received.length === 0) {
          expect(answer, delivery).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        }
      }
      for (const chunks of received) expect(completeRequests(Buffer.concat(chunks))).toEqual([]);
      expect((await call(port, "/honest")).body).toBe("ok");
    },
  );
});

/** The requests in `bytes` that a strict server would act on. */
function completeRequests(bytes: Buffer): readonly string[] {
  const recorder = new Recorder<RequestHead>();
  feed(createRequestParser(recorder), bytes, []);
  return recorder.events.filter((event) => event.type === "end").map(() => bytes.toString("latin1"));
}
