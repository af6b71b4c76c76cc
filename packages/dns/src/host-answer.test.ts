import packet from "dns-packet";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RCODE } from "./codes.js";
import { failureAnswer, hostAnswer } from "./host-answer.js";
import { parseQuery, type Query } from "./query.js";
import { isAnswerTo, rcodeOf, withId } from "./relay.js";

function queryOf(bytes: Buffer): Query {
  const parsed = parseQuery(bytes);
  if (parsed.outcome !== "query") throw new Error(parsed.outcome);
  return parsed.query;
}

function queryBytes(name: string, type = "A", udpPayloadSize?: number): Buffer {
  const additionals = udpPayloadSize === undefined ? [] : [{ type: "OPT", name: ".", udpPayloadSize }];
  const questions = [{ name, type }];
  return packet.encode({ id: 7, flags: packet.RECURSION_DESIRED, questions, additionals } as never);
}

const ADDRESSES = ["240.240.0.1", "fd00::1", "not an address"];

test.each([
  ["A", ["240.240.0.1"]],
  ["AAAA", ["fd00::1"]],
  ["TXT", []],
])("hostAnswer answers %s with the addresses of that family alone", (type, expected) => {
  const answer = packet.decode(hostAnswer(queryOf(queryBytes("Reviews", type)), ADDRESSES, 30, "udp"));
  expect(answer.id).toBe(7);
  expect(answer.rcode).toBe("NOERROR");
  expect(answer.questions).toMatchObject([{ name: "Reviews", type }]);
  expect(answer.answers.map(({ data, ttl }) => [data, ttl])).toEqual(expected.map((data) => [data, 30]));
});

test("hostAnswer cuts to what the client takes over UDP and says so", () => {
  const many = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`);
  const query = queryOf(queryBytes("many"));
  const cut = hostAnswer(query, many, 30, "udp");
  expect(cut.length).toBeLessThanOrEqual(512);
  expect(packet.decode(cut).flag_tc).toBe(true);
  const whole = packet.decode(hostAnswer(query, many, 30, "tcp"));
  expect(whole.answers).toHaveLength(100);
  expect(whole.flag_tc).toBe(false);
  const larger = hostAnswer(queryOf(queryBytes("many", "A", 4096)), many, 30, "udp");
  expect(larger.length).toBeGreaterThan(512);
  expect(larger.length).toBeLessThanOrEqual(1232);
  expect(packet.decode(larger).additionals).toMatchObject([{ type: "OPT" }]);
});

test("failureAnswer repeats the question with the code", () => {
  const bytes = failureAnswer(queryOf(queryBytes("a.example")), RCODE.SERVFAIL);
  expect(packet.decode(bytes)).toMatchObject({
    id: 7,
    rcode: "SERVFAIL",
    questions: [{ name: "a.example" }],
  });
  expect(rcodeOf(bytes)).toBe(RCODE.SERVFAIL);
});

test("isAnswerTo takes the answer to a query and no other message", () => {
  const asked = queryBytes("a.example");
  const { question } = queryOf(asked);
  const answer = hostAnswer(queryOf(asked), ["10.0.0.1"], 30, "udp");
  expect(isAnswerTo(answer, 7, question)).toBe(true);
  expect(isAnswerTo(withId(answer, 8), 7, question)).toBe(false);
  expect(isAnswerTo(withId(answer, 8), 8, question)).toBe(true);
  // A query is no answer, nor is the answer to another question or one in other letters.
  expect(isAnswerTo(asked, 7, question)).toBe(false);
  expect(isAnswerTo(answer, 7, queryOf(queryBytes("b.example")).question)).toBe(false);
  expect(isAnswerTo(answer, 7, queryOf(queryBytes("A.example")).question)).toBe(false);
  expect(isAnswerTo(answer, 7, queryOf(queryBytes("a.example", "AAAA")).question)).toBe(false);
  // FORMERR without a question is a failure's only form; NOERROR without one answers nothing.
  const bare = Buffer.from([0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(isAnswerTo(bare, 7, question)).toBe(true);
  bare[3] = 0;
  expect(isAnswerTo(bare, 7, question)).toBe(false);
});

test("isAnswerTo never throws, whatever comes", () => {
  const { question } = queryOf(queryBytes("a.example"));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(isAnswerTo(Buffer.from(bytes), 7, question)).toBeTypeOf("boolean");
    }),
  );
});
