import fc from "fast-check";
import { expect, test } from "vitest";
import { redisCommand, RedisReply } from "./redis.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sent = (key: string): string => new TextDecoder().decode(redisCommand(key));

test("redisCommand asks for a sign of life, or for a key by its length in bytes", () => {
  expect(sent("")).toBe("*1\r\n$4\r\nPING\r\n");
  expect(sent("höh")).toBe("*2\r\n$6\r\nEXISTS\r\n$4\r\nhöh\r\n");
});

test.each([
  ["", "+PONG\r\n", ""],
  ["", "-NOAUTH Authentication required.\r\n", 'it answered "-NOAUTH Authentication required."'],
  ["", "HTTP/1.1 400 Bad Request\r\n", 'it answered "HTTP/1.1 400 Bad Request"'],
  ["down", ":0\r\n", ""],
  ["down", ":1\r\n", "it has the key down"],
  ["down", "+PONG\r\n", 'it answered "+PONG"'],
])("RedisReply for the key %j: %j", (key, answer, expected) => {
  expect(new RedisReply(key).push(bytes(answer))).toBe(expected);
  const reply = new RedisReply(key);
  const parts = answer.split("").map((letter) => reply.push(bytes(letter)));
  expect(parts.slice(0, -1).every((part) => part === undefined)).toBe(true);
  expect(parts.at(-1)).toBe(expected);
});

test("RedisReply takes any bytes, and waits for no more than an answer can be long", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1024 }), (answer) => {
      const found = new RedisReply("").push(answer);
      if (answer.length > 512) expect(found).toBeDefined();
      if (found === "") expect(new TextDecoder().decode(answer).startsWith("+PONG\r\n")).toBe(true);
    }),
  );
});
