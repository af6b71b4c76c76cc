import { create } from "@bufbuild/protobuf";
import { rcodeOf } from "@tulle/dns";
import { FakeClock } from "@tulle/testkit";
import {
  NameTable_DnsFault_Failure as Failure,
  NameTable_DnsFaultSchema,
  type NameTable_DnsFault,
} from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { dnsAnswer, dnsQuery } from "../../test/dns.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { DnsFaults } from "./dns-faults.js";
import type { Names } from "./names.js";
import { createResolver } from "./resolver.js";

const KNOWN = new Map([
  ["reviews", ["240.240.0.1"]],
  ["reviews.default", ["240.240.0.1"]],
]);
const FAULTS = new Map([
  ["late", fault(100, Failure.NONE, 2000)],
  ["lost", fault(100, Failure.NXDOMAIN, 0)],
  ["broken", fault(100, Failure.SERVFAIL, 1000)],
  ["rarely", fault(30, Failure.SERVFAIL, 0)],
]);
for (const name of FAULTS.keys()) KNOWN.set(name, ["240.240.0.9"]);
const names = {
  addressesOf: (name: string) => KNOWN.get(name),
  faultOf: (name: string) => FAULTS.get(name),
} as Names;

function fault(percentage: number, failure: Failure, delayMs: number): NameTable_DnsFault {
  return create(NameTable_DnsFaultSchema, { percentage, failure, delayMs });
}

const NXDOMAIN = 3;
const SERVFAIL = 2;
const AAAA = 28;

function setup(system: (query: Buffer) => Buffer | undefined) {
  const asked: Buffer[] = [];
  const clock = new FakeClock();
  const metrics = new MetricsRegistry();
  const chance = { value: 0 };
  const resolve = createResolver({
    names,
    search: ["corp.example"],
    faults: new DnsFaults(clock, () => chance.value, metrics),
    forward: (message) => {
      asked.push(message);
      return Promise.resolve(system(message));
    },
  });
  const ask = async (query: Buffer): Promise<Buffer> => (await resolve(query, "udp")) ?? Buffer.alloc(0);
  return { resolve, ask, asked, clock, chance, metrics };
}

const lastFour = (answer: Buffer): readonly number[] => [...answer.subarray(-4)];

test("createResolver answers the mesh's names itself, with no IPv6 address rather than another's", async () => {
  const { ask, asked } = setup(() => undefined);
  expect(lastFour(await ask(dnsQuery("Reviews")))).toEqual([240, 240, 0, 1]);
  const v6 = await ask(dnsQuery("reviews", AAAA));
  expect([rcodeOf(v6), v6.readUInt16BE(6)]).toEqual([0, 0]);
  expect(asked).toEqual([]);
});

test("createResolver has lookups fail as the fault of a name says: late, with a failure, or both", async () => {
  const { ask, clock, metrics } = setup(() => undefined);
  expect(rcodeOf(await ask(dnsQuery("lost")))).toBe(NXDOMAIN);
  let late: Buffer | undefined;
  let broken: Buffer | undefined;
  void ask(dnsQuery("late")).then((answer) => (late = answer));
  void ask(dnsQuery("broken", AAAA)).then((answer) => (broken = answer));
  await clock.advance(999);
  expect([late, broken]).toEqual([undefined, undefined]);
  await clock.advance(1);
  expect([late, broken && rcodeOf(broken)]).toEqual([undefined, SERVFAIL]);
  await clock.advance(1000);
  expect(lastFour(late!)).toEqual([240, 240, 0, 9]);
  const text = prometheusText(metrics);
  expect(text).toContain('tulle_dns_faults_total{fault="delay"} 2');
  expect(text).toContain('tulle_dns_faults_total{fault="nxdomain"} 1');
  expect(text).toContain('tulle_dns_faults_total{fault="servfail"} 1');
});

test("createResolver has as many lookups fail as the fault says", async () => {
  const { ask, chance } = setup(() => undefined);
  chance.value = 0.29;
  expect(rcodeOf(await ask(dnsQuery("rarely")))).toBe(SERVFAIL);
  chance.value = 0.3;
  expect(lastFour(await ask(dnsQuery("rarely")))).toEqual([240, 240, 0, 9]);
});

test("createResolver passes other names on, and gives the answer back untouched", async () => {
  const { ask } = setup((query) => dnsAnswer(query, "192.0.2.1"));
  const query = dnsQuery("outside.example");
  expect(await ask(query)).toEqual(dnsAnswer(query, "192.0.2.1"));
});

test("createResolver says SERVFAIL when nobody answers", async () => {
  const { ask } = setup(() => undefined);
  expect(rcodeOf(await ask(dnsQuery("outside.example")))).toBe(SERVFAIL);
});

test("createResolver takes a search domain off only for names that the system does not know", async () => {
  const absent = setup((query) => dnsAnswer(query, undefined, NXDOMAIN));
  expect(lastFour(await absent.ask(dnsQuery("reviews.corp.example")))).toEqual([240, 240, 0, 1]);
  expect(lastFour(await absent.ask(dnsQuery("reviews.default.corp.example")))).toEqual([240, 240, 0, 1]);
  expect(rcodeOf(await absent.ask(dnsQuery("other.corp.example")))).toBe(NXDOMAIN);
  expect(rcodeOf(await absent.ask(dnsQuery("reviews.elsewhere.example")))).toBe(NXDOMAIN);
  const present = setup((query) => dnsAnswer(query, "192.0.2.1"));
  expect(lastFour(await present.ask(dnsQuery("reviews.corp.example")))).toEqual([192, 0, 2, 1]);
});

test("createResolver never rejects and forwards no message that is not a query", async () => {
  const { resolve, asked } = setup(() => undefined);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
      asked.length = 0;
      const answer = await resolve(Buffer.from(bytes), "udp");
      const isQuery = bytes.length > 16 && ((bytes[2] ?? 0) & 0xf8) === 0;
      if (!isQuery) expect(asked).toEqual([]);
      expect(answer === undefined || answer.length >= 12).toBe(true);
    }),
  );
});
