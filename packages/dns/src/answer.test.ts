import packet from "dns-packet";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createDnsAnswerer, type DnsOptions } from "./answer.js";
import type { DnsDirectory, DnsInstance } from "./directory.js";

const instance = (host: string, port: number, tags: readonly string[] = []): DnsInstance => ({
  host,
  port,
  tags,
  weight: 1,
  portName: "http",
});

const services = new Map<string, readonly DnsInstance[]>([
  [
    "default/api",
    [instance("10.0.0.1", 80, ["v1"]), instance("10.0.0.2", 81, ["V2"]), instance("fd00::1", 80)],
  ],
  ["shop/api", [instance("10.1.0.1", 9080)]],
  ["default/down", []],
  ["default/twins", [instance("10.0.0.9", 1), instance("10.0.0.9", 2)]],
  ["default/outside", [instance("db.example.com", 5432)]],
  ["default/many", Array.from({ length: 100 }, (_, i) => instance(`10.2.0.${i}`, 8000 + i))],
]);
const directory: DnsDirectory = {
  service: (namespace, name) => services.get(`${namespace}/${name}`),
  node: (name) => (name === "tulle" ? { host: "10.9.9.9", meta: { rack: "r1" } } : undefined),
};

function ask(name: string, type: string, extra: { udpBytes?: number; version?: number; tcp?: boolean } = {}) {
  const additionals =
    extra.udpBytes === undefined
      ? []
      : [{ type: "OPT", name: ".", udpPayloadSize: extra.udpBytes, ednsVersion: extra.version ?? 0 }];
  const query = packet.encode({
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type }],
    additionals,
  });
  const bytes = answerer()(query, extra.tcp === true ? "tcp" : "udp");
  if (bytes === undefined) throw new Error("no answer");
  return { bytes, ...packet.decode(bytes) };
}

function answerer(options: Partial<DnsOptions> = {}) {
  return createDnsAnswerer(directory, { random: () => 0.5, ...options });
}

const data = (records: readonly { readonly data?: unknown }[]) => records.map((record) => record.data);

test("answerer gives the A records of a service, authoritatively and with TTL 0", () => {
  const answer = ask("api.service.consul", "A");
  expect(answer).toMatchObject({
    id: 4711,
    type: "response",
    rcode: "NOERROR",
    flag_aa: true,
    flag_rd: true,
  });
  expect(new Set(data(answer.answers))).toEqual(new Set(["10.0.0.1", "10.0.0.2"]));
  expect(answer.answers[0]?.ttl).toBe(0);
});

test("answerer gives AAAA records for IPv6 instances", () => {
  expect(data(ask("api.service.consul", "AAAA").answers)).toEqual(["fd00::1"]);
});

test("answerer gives SRV records whose targets it also resolves", () => {
  const answer = ask("_api._tcp.service.consul", "SRV", { udpBytes: 1232 });
  expect(data(answer.answers)).toContainEqual({
    priority: 1,
    weight: 1,
    port: 81,
    target: "0a000002.addr.dc1.consul",
  });
  expect(answer.additionals).toContainEqual(
    expect.objectContaining({ name: "0a000002.addr.dc1.consul", type: "A", data: "10.0.0.2" }),
  );
  expect(data(ask("0a000002.addr.dc1.consul", "A").answers)).toEqual(["10.0.0.2"]);
});

test("answerer selects by tag, whatever its case", () => {
  expect(data(ask("v2.api.service.consul", "A").answers)).toEqual(["10.0.0.2"]);
  expect(data(ask("_api._v1.service.consul", "SRV").answers)).toMatchObject([{ port: 80 }]);
  expect(ask("v9.api.service.consul", "A").rcode).toBe("NXDOMAIN");
});

test("answerer repeats the question in the spelling of the client", () => {
  const answer = ask("aPi.SeRvIcE.CoNsUl", "A");
  expect(answer.questions[0]?.name).toBe("aPi.SeRvIcE.CoNsUl");
  expect(answer.answers[0]?.name).toBe("aPi.SeRvIcE.CoNsUl");
  expect(answer.answers).toHaveLength(2);
});

test("answerer serves namespaces in Consul's and in Kubernetes' form", () => {
  expect(data(ask("api.service.shop.ns.consul", "A").answers)).toEqual(["10.1.0.1"]);
  expect(data(ask("api.shop.svc.cluster.local", "A").answers)).toEqual(["10.1.0.1"]);
  expect(data(ask("_http._tcp.api.shop.svc.cluster.local", "SRV").answers)).toMatchObject([{ port: 9080 }]);
  expect(ask("_grpc._tcp.api.shop.svc.cluster.local", "SRV").rcode).toBe("NXDOMAIN");
});

test("answerer tells a missing name from a missing type, with the zone's SOA for both", () => {
  const missing = ask("nothing.service.consul", "A");
  expect(missing.rcode).toBe("NXDOMAIN");
  expect(missing.authorities).toMatchObject([{ name: "consul", type: "SOA" }]);
  const noData = ask("api.service.consul", "MX");
  expect(noData).toMatchObject({ rcode: "NOERROR", answers: [] });
  expect(noData.authorities).toMatchObject([{ name: "consul", type: "SOA" }]);
  expect(ask("service.consul", "A")).toMatchObject({ rcode: "NOERROR", answers: [] });
  expect(ask("down.service.consul", "A").rcode).toBe("NXDOMAIN");
});

test("answerer gives SOA and NS at the apex, and the name server resolves", () => {
  expect(ask("consul", "SOA").answers).toMatchObject([{ name: "consul", type: "SOA" }]);
  expect(data(ask("consul", "NS").answers)).toEqual(["tulle.node.dc1.consul"]);
  expect(data(ask("tulle.node.dc1.consul", "A").answers)).toEqual(["10.9.9.9"]);
  expect(String(data(ask("tulle.node.consul", "TXT").answers)[0])).toBe("rack=r1");
});

test("answerer answers ANY with addresses and servers", () => {
  const types = ask("twins.service.consul", "ANY").answers.map((record) => record.type);
  expect(types).toEqual(["A", "SRV", "SRV"]);
});

test("answerer answers external host names as CNAME and as SRV target", () => {
  expect(ask("outside.service.consul", "A").answers).toMatchObject([
    { type: "CNAME", data: "db.example.com" },
  ]);
  expect(data(ask("outside.service.consul", "SRV").answers)).toMatchObject([
    { target: "db.example.com", port: 5432 },
  ]);
});

test("answerer cuts UDP answers to the client's size with TC, and TCP ones not", () => {
  const classic = ask("many.service.consul", "SRV");
  expect(classic.flag_tc).toBe(true);
  expect(classic.bytes.length).toBeLessThanOrEqual(512);
  expect(classic.answers.length).toBeGreaterThan(5);
  const edns = ask("many.service.consul", "A", { udpBytes: 900 });
  expect(edns.flag_tc).toBe(true);
  expect(edns.bytes.length).toBeLessThanOrEqual(900);
  expect(edns.answers.length).toBeGreaterThan(50);
  const tcp = ask("many.service.consul", "SRV", { tcp: true });
  expect(tcp.flag_tc).toBe(false);
  expect(tcp.answers).toHaveLength(100);
  expect(tcp.additionals).toHaveLength(100);
});

test("answerer drops additional records before it truncates", () => {
  const answer = ask("api.service.consul", "SRV", { udpBytes: 512 });
  expect(answer.flag_tc).toBe(false);
  expect(answer.additionals.at(-1)?.type).toBe("OPT");
});

test("answerer orders answers by its entropy", () => {
  const query = packet.encode({ questions: [{ name: "many.service.consul", type: "A" }] });
  const first = (random: number) => {
    const bytes = answerer({ random: () => random })(query, "tcp");
    return bytes === undefined ? undefined : packet.decode(bytes).answers[0]?.data;
  };
  expect(first(0)).not.toBe(first(0.999));
});

test("answerer refuses foreign names, other classes, zone transfers, EDNS versions and opcodes", () => {
  expect(ask("example.com", "A")).toMatchObject({ rcode: "REFUSED", flag_aa: false });
  expect(ask("consul", "AXFR").rcode).toBe("REFUSED");
  const badVersion = ask("api.service.consul", "A", { udpBytes: 1232, version: 1 });
  expect(badVersion.additionals[0]?.extendedRcode).toBe(1);
  expect(badVersion.answers).toEqual([]);
  const chaos = packet.encode({ questions: [{ name: "version.bind", type: "TXT", class: "CH" }] });
  expect(packet.decode(answerer()(chaos, "udp") ?? Buffer.alloc(0)).rcode).toBe("REFUSED");
  const update = packet.encode({ id: 7, flags: 5 << 11, questions: [{ name: "consul", type: "SOA" }] });
  expect(packet.decode(answerer()(update, "udp") ?? Buffer.alloc(0))).toMatchObject({
    id: 7,
    rcode: "NOTIMP",
  });
});

test("answerer answers FORMERR to broken queries and nothing to answers and scraps", () => {
  const query = packet.encode({ id: 9, questions: [{ name: "api.service.consul", type: "A" }] });
  const formErr = (bytes: Buffer) => packet.decode(answerer()(bytes, "udp") ?? Buffer.alloc(0)).rcode;
  expect(formErr(query.subarray(0, 20))).toBe("FORMERR");
  expect(formErr(Buffer.concat([query.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]))).toBe(
    "FORMERR",
  );
  const twoQuestions = Buffer.from(query);
  twoQuestions.writeUInt16BE(2, 4);
  expect(formErr(twoQuestions)).toBe("FORMERR");
  const longName = Buffer.concat([
    query.subarray(0, 12),
    ...Array.from({ length: 5 }, () => Buffer.concat([Buffer.from([60]), Buffer.alloc(60, 97)])),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  expect(formErr(longName)).toBe("FORMERR");
  const response = Buffer.from(query);
  response[2] = 0x80;
  expect(answerer()(response, "udp")).toBeUndefined();
  expect(answerer()(Buffer.alloc(11), "udp")).toBeUndefined();
});

test("answerer never throws and stays within its limit on random and on mutated bytes", () => {
  const answer = answerer();
  const valid = packet.encode({
    questions: [{ name: "api.service.consul", type: "SRV" }],
    additionals: [{ type: "OPT", name: ".", udpPayloadSize: 4096 }],
  });
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 })
    .map((changes) => {
      const bytes = Buffer.from(valid);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
      const out = answer(bytes, "udp");
      if (out === undefined) return;
      expect(out.length).toBeLessThanOrEqual(1232);
      packet.decode(out);
    }),
    { numRuns: 3000 },
  );
});
