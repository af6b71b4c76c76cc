import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type JsonValue,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { compileProto } from "@tulle/testkit/proto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { JsonCall, TranscoderSettings } from "./contract.js";
import { createTranscoder } from "./transcoder.js";

const PROTO = `
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/rpc/error_details.proto";

service S {
  rpc Get(Q) returns (Q) { option (google.api.http) = {
    get: "/v1/{name=shelves/*/books/*}" additional_bindings { get: "/v1/books/{name}" } }; }
  rpc Create(Q) returns (Q) { option (google.api.http) = { post: "/v1/books" body: "sub" }; }
  rpc Patch(Q) returns (Q) { option (google.api.http) = { patch: "/v1/{sub.id}" body: "*" }; }
  rpc Count(Q) returns (Q) { option (google.api.http) = { get: "/v1/count" response_body: "big" }; }
  rpc Watch(Q) returns (stream Q) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Send(stream Q) returns (Q) { option (google.api.http) = { post: "/v1/send/{name}" body: "*" }; }
  rpc Upload(U) returns (google.api.HttpBody) { option (google.api.http) = { put: "/v1/files/{name=**}" body: "file" }; }
  rpc Find(Q) returns (Q) { option (google.api.http) = { custom { kind: "QUERY" path: "/v1/find" } }; }
  rpc Bare(Q) returns (Q);
}
enum Color { NONE = 0; RED = 1; }
message Sub { int32 id = 1; string text = 2; Sub sub = 3; }
message U { string name = 1; google.api.HttpBody file = 2; }
message Q {
  string name = 1;
  Sub sub = 2;
  int64 big = 3;
  bool flag = 4;
  Color color = 5;
  repeated string tags = 6;
  bytes raw = 7;
  google.protobuf.Timestamp at = 8;
  google.protobuf.FieldMask mask = 9;
  google.protobuf.BoolValue maybe = 10;
  map<string, string> labels = 11;
  repeated Sub subs = 12;
  double ratio = 13;
  repeated Color colors = 14;
  string long_name = 15;
}
service Broken { rpc A(Q) returns (Q) { option (google.api.http) = { get: "/v1/{nothing}" }; } }
service Wrong { rpc A(Q) returns (Q) { option (google.api.http) = { get: "v1" }; } }
service NoBody { rpc A(Q) returns (Q) { option (google.api.http) = { post: "/v1" body: "no" }; } }
`;
const SET = compileProto(PROTO);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, SET));
const Q = registry.getMessage("t.Q")!;

const SETTINGS: TranscoderSettings = {
  descriptorSet: SET,
  services: ["t.S"],
  autoMapping: false,
  ignoredQueryParameters: ["key"],
  ignoreUnknownQueryParameters: false,
  queryPlusIsBlank: false,
  matchesOtherVerbs: false,
  refusesCollisions: false,
  kept: "reserved",
  print: {
    whitespace: false,
    defaults: false,
    enumsAsNumbers: false,
    protoFieldNames: false,
    stream: "array",
  },
};

function transcoder(more: Partial<TranscoderSettings> = {}) {
  const made = createTranscoder({ ...SETTINGS, ...more });
  if (typeof made === "string") throw new Error(made);
  return made;
}

const S = transcoder();

function call(method: string, target: string, of = S): JsonCall {
  const found = of.find(method, target);
  if (found.kind !== "call") throw new Error(JSON.stringify(found));
  return found.call;
}

const bytesOf = (body: string): Uint8Array => new TextEncoder().encode(body);

/** The request's messages as JSON, or why there is none. */
function sent(method: string, target: string, body = "", of = S): JsonValue {
  const made = call(method, target, of).encodeRequest(bytesOf(body), "application/json");
  if ("refused" in made) return made.refused;
  const messages = made.messages.map((bytes) => toJson(Q, fromBinary(Q, bytes)));
  return messages.length === 1 ? messages[0]! : messages;
}

describe("requests", () => {
  test.each<[string, string, string, JsonValue]>([
    ["GET", "/v1/shelves/1/books/2", "", { name: "shelves/1/books/2" }],
    ["GET", "/v1/books/a%2Fb%20c", "", { name: "a/b c" }],
    ["GET", "/v1/shelves/a%2Fb/books/%C3%A9", "", { name: "shelves/a%2Fb/books/é" }],
    [
      "GET",
      "/v1/books/1?big=9007199254740993&flag=true",
      "",
      { name: "1", big: "9007199254740993", flag: true },
    ],
    [
      "GET",
      "/v1/books/1?color=RED&colors=1&colors=RED",
      "",
      { name: "1", color: "RED", colors: ["RED", "RED"] },
    ],
    ["GET", "/v1/books/1?tags=a&tags=b%26&key=secret", "", { name: "1", tags: ["a", "b&"] }],
    ["GET", "/v1/books/1?sub.id=7&sub.sub.text=x", "", { name: "1", sub: { id: 7, sub: { text: "x" } } }],
    ["GET", "/v1/books/1?at=2024-01-02T03:04:05Z", "", { name: "1", at: "2024-01-02T03:04:05Z" }],
    ["GET", "/v1/books/1?mask=a,bC&maybe=false", "", { name: "1", mask: "a,bC", maybe: false }],
    ["GET", "/v1/books/1?raw=aGk%3D&ratio=0.5", "", { name: "1", raw: "aGk=", ratio: 0.5 }],
    ["GET", "/v1/books/1?longName=a", "", { name: "1", longName: "a" }],
    ["GET", "/v1/books/1?long_name=a+b", "", { name: "1", longName: "a+b" }],
    ["GET", "/v1/books/1", '{"flag":true}', { name: "1" }],
    ["POST", "/v1/books?name=n", '{"id":3,"text":"é"}', { name: "n", sub: { id: 3, text: "é" } }],
    ["POST", "/v1/books", "", {}],
    ["PATCH", "/v1/5", '{"long_name":"n","sub":{"text":"t"}}', { longName: "n", sub: { id: 5, text: "t" } }],
    ["PATCH", "/v1/5", '{"sub":{"id":6}}', { sub: { id: 6 } }],
    ["POST", "/v1/send/n", '[{"flag":true},{"big":"2"}]', [{ name: "n", flag: true }, { big: "2" }]],
    ["POST", "/v1/send/n", "", []],
    ["QUERY", "/v1/find?flag=true", "", { flag: true }],
  ])("%s %s %s", (method, target, body, message) => {
    expect(sent(method, target, body)).toEqual(message);
  });

  test.each([
    ["PATCH", "/v1/5", '{"nothing":1}', "the request is no t.Q"],
    ["PATCH", "/v1/5", '{"flag":1}', "the request is no t.Q"],
    ["PATCH", "/v1/5", '{"flag":true,"flag":false}', "the request is no t.Q"],
    ["PATCH", "/v1/5", "[]", "the request is no t.Q"],
    ["PATCH", "/v1/5", "{", "the request is no t.Q"],
    ["PATCH", "/v1/5", `{"sub":${'{"sub":'.repeat(200)}{}${"}".repeat(200)}}`, "recursion depth"],
    ["POST", "/v1/books", '1},"name":"smuggled","sub":{"id":2', "the request is no t.Q"],
    ["POST", "/v1/send/n", "{}", "must be a JSON array"],
  ])("a request is refused: %#", (method, target, body, why) => {
    expect(sent(method, target, body)).toContain(why);
  });

  test("what the path says and the body says otherwise is refused where that is asked for", () => {
    const strict = transcoder({ refusesCollisions: true });
    expect(sent("PATCH", "/v1/5", '{"sub":{"id":6}}', strict)).toBe(
      "the body says otherwise of sub.id than the path or the query",
    );
    expect(sent("PATCH", "/v1/5", '{"sub":{"id":5}}', strict)).toEqual({ sub: { id: 5 } });
    expect(sent("PATCH", "/v1/5?at=2024-01-02T03:04:05Z", '{"at":"2024-01-02T03:04:06Z"}', strict)).toContain(
      "of at",
    );
    expect(sent("PATCH", "/v1/5?tags=a", '{"tags":["b"]}', strict)).toContain("of tags");
  });

  test.each([
    ["GET", "/v1/books/1?sub=x", { kind: "unknown-parameter", name: "sub" }],
    ["GET", "/v1/books/1?subs=x", { kind: "unknown-parameter", name: "subs" }],
    ["GET", "/v1/books/1?labels=x", { kind: "unknown-parameter", name: "labels" }],
    ["GET", "/v1/books/1?name.x=x", { kind: "unknown-parameter", name: "name.x" }],
    ["GET", "/v1/books/1?__proto__=x", { kind: "unknown-parameter", name: "__proto__" }],
    ["GET", "/v1/books/1?name=2", { kind: "invalid", message: "name is said twice" }],
    ["GET", "/v1/books/1?flag=true&flag=true", { kind: "invalid", message: "flag is said twice" }],
    ["GET", "/v1/books/1?flag=yes", { kind: "invalid", message: expect.stringContaining("flag") }],
    ["GET", "/v1/books/1?big=x", { kind: "invalid", message: expect.stringContaining("big") }],
    ["GET", "/v1/books/1?color=BLUE", { kind: "invalid", message: expect.stringContaining("t.Color") }],
    ["PATCH", "/v1/x", { kind: "invalid", message: expect.stringContaining("id") }],
    ["DELETE", "/v1/books/1", { kind: "unknown-method" }],
    ["POST", "/t.S/Bare", { kind: "unknown-method" }],
  ])("%s %s is told apart", (method, target, found) => {
    expect(S.find(method, target)).toEqual(found);
  });

  test("parameters that nobody knows may be overlooked", () => {
    expect(sent("GET", "/v1/books/1?x=1", "", transcoder({ ignoreUnknownQueryParameters: true }))).toEqual({
      name: "1",
    });
  });

  test("methods without a rule have a path of their own where that is asked for", () => {
    const all = transcoder({ autoMapping: true });
    expect(sent("POST", "/t.S/Bare", '{"name":"n"}', all)).toEqual({ name: "n" });
    expect(all.find("POST", "/t.S/Get").kind).toBe("unknown-method");
  });
});

describe("answers", () => {
  const message = (json: JsonValue): Uint8Array => toBinary(Q, fromJson(Q, json));
  const text = (of: JsonCall, bytes: Uint8Array): string => {
    const made = of.decodeResponse(bytes);
    return "refused" in made ? made.refused : `${made.type} ${new TextDecoder().decode(made.bytes)}`;
  };
  const get = (print: Partial<TranscoderSettings["print"]> = {}): JsonCall =>
    call("GET", "/v1/books/1", transcoder({ print: { ...SETTINGS.print, ...print } }));
  const one = message({ longName: "n", color: "RED" });

  test("are written as it is asked for", () => {
    expect(text(get(), one)).toBe('application/json {"color":"RED","longName":"n"}');
    expect(text(get({ enumsAsNumbers: true }), one)).toContain('"color":1');
    expect(text(get({ protoFieldNames: true }), one)).toContain('"long_name":"n"');
    expect(text(get({ defaults: true }), one)).toContain('"flag":false');
    expect(text(get({ whitespace: true }), one)).toBe(
      'application/json {\n "color": "RED",\n "longName": "n"\n}',
    );
  });

  test("may be one field of the message", () => {
    const count = call("GET", "/v1/count");
    expect(text(count, message({ big: "12" }))).toBe('application/json "12"');
    expect(text(count, message({}))).toBe('application/json "0"');
  });

  test("that are no messages are refused", () => {
    expect(text(get(), new Uint8Array([0xff, 0xff]))).toContain("the answer is no t.Q");
  });

  test("of methods that stream say so", () => {
    expect(call("GET", "/v1/watch").stream).toBe("array");
    expect(get().stream).toBeUndefined();
  });

  test("and bodies of google.api.HttpBody go by as they are", () => {
    const upload = call("PUT", "/v1/files/a/b");
    const made = upload.encodeRequest(new Uint8Array([1, 2, 255]), "image/png");
    const [bytes] = "messages" in made ? made.messages : [];
    const U = registry.getMessage("t.U")!;
    const file = { contentType: "image/png", data: "AQL/" };
    expect(toJson(U, fromBinary(U, bytes!))).toEqual({ name: "a/b", file });
    const Body = registry.getMessage("google.api.HttpBody")!;
    const raw = toBinary(Body, fromJson(Body, file));
    expect(upload.decodeResponse(raw)).toEqual({ type: "image/png", bytes: new Uint8Array([1, 2, 255]) });
  });

  test("errors are google.rpc.Status, with the details whose types are known", () => {
    const Status = registry.getMessage("google.rpc.Status");
    const known = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "NONE" };
    expect(get().describeError(5, "no such", undefined)).toBe('{"code":5,"message":"no such"}');
    expect(get().describeError(5, "no such", "!!")).toBe('{"code":5,"message":"no such"}');
    if (Status === undefined) return;
    const bytes = toBinary(Status, fromJson(Status, { code: 5, details: [known] }, { registry }));
    const details = Buffer.from(bytes).toString("base64").replaceAll("=", "");
    expect(JSON.parse(get().describeError(5, "no such", details))).toEqual({
      code: 5,
      message: "no such",
      details: [known],
    });
  });
});

test.each([
  [{ descriptorSet: new Uint8Array([1, 2, 3]) }, "is no descriptor set"],
  [{ services: ["t.None"] }, "has no service t.None"],
  [{ services: ["t.Broken"] }, "t.Broken.A: t.Q has no field nothing that a path can have"],
  [{ services: ["t.Wrong"] }, 't.Wrong.A: the path "v1" must begin with /'],
  [{ services: ["t.NoBody"] }, "t.NoBody.A: body: t.Q has no field no"],
])("settings that cannot be are refused: %#", (more, why) => {
  expect(createTranscoder({ ...SETTINGS, ...more })).toContain(why);
});

test("whatever comes, a call is found or not, and a message is made or refused", () => {
  const target = fc
    .array(
      fc.constantFrom(
        "/v1",
        "/books",
        "/shelves",
        "/1",
        "?",
        "&",
        "name=",
        "sub.id=",
        "flag=true",
        "%2",
        "%ff",
        ":",
        "{}",
      ),
    )
    .map((parts) => parts.join(""));
  const body = fc.oneof(fc.json(), fc.string());
  fc.assert(
    fc.property(fc.constantFrom("GET", "POST", "PATCH"), target, body, (method, path, text) => {
      const found = S.find(method, path);
      if (found.kind !== "call") return;
      const made = found.call.encodeRequest(bytesOf(text), "application/json");
      if ("messages" in made) for (const bytes of made.messages) fromBinary(Q, bytes);
      else expect(made.refused).not.toBe("");
    }),
    { numRuns: 2000 },
  );
});

test("whatever a service answers is written or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const made = call("GET", "/v1/books/1").decodeResponse(bytes);
      if ("bytes" in made) JSON.parse(new TextDecoder().decode(made.bytes));
    }),
    { numRuns: 2000 },
  );
});
