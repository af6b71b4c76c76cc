import { create, toBinary } from "@bufbuild/protobuf";
import { NameTableSchema } from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { expect, test } from "vitest";

import { Names } from "./names.js";
import { parseResolvConf } from "./resolv-conf.js";

const info = (ip: string, shortname = "", namespace = "") => ({
  ips: [ip],
  registry: shortname === "" ? "External" : "Kubernetes",
  shortname,
  namespace,
});

const table = toBinary(
  NameTableSchema,
  create(NameTableSchema, {
    table: {
      "reviews.default.svc.cluster.local": info("240.240.0.1", "reviews", "default"),
      "reviews.shop.svc.cluster.local": info("240.240.0.2", "reviews", "shop"),
      "cart.shop": info("240.240.0.4"),
      "cart.shop.svc.cluster.local": info("240.240.0.3", "cart", "shop"),
    },
  }),
);

test("Names knows every spelling of a service, short ones in its own namespace", () => {
  const names = new Names("default");
  names.replace(table);
  for (const name of [
    "reviews",
    "reviews.default",
    "reviews.default.svc",
    "reviews.default.svc.cluster.local",
  ]) {
    expect(names.addressesOf(name), name).toEqual(["240.240.0.1"]);
  }
  expect(names.addressesOf("reviews.shop")).toEqual(["240.240.0.2"]);
  expect(names.addressesOf("cart")).toBeUndefined();
  // A host in full wins over another's short form.
  expect(names.addressesOf("cart.shop")).toEqual(["240.240.0.4"]);
  for (const name of ["", "default", "__proto__", "constructor"])
    expect(names.addressesOf(name)).toBeUndefined();
});

test("Names knows the host of an address", () => {
  const names = new Names("shop");
  names.replace(table);
  expect(names.hostOf("240.240.0.2")).toBe("reviews.shop.svc.cluster.local");
  expect(names.hostOf("240.240.9.9")).toBeUndefined();
  names.clear();
  expect(names.size).toBe(0);
  expect(names.hostOf("240.240.0.2")).toBeUndefined();
});

test("Names keeps what it has when a table cannot be read", () => {
  const names = new Names("default");
  names.replace(table);
  expect(() => names.replace(new Uint8Array([0x0a, 0xff]))).toThrow("not a name table");
  expect(names.addressesOf("reviews")).toEqual(["240.240.0.1"]);
});

test("parseResolvConf reads nameservers and the last search list", () => {
  const text = `# comment
nameserver 10.0.0.2
nameserver fe80::1%eth0 ; zone
nameserver not-an-address
nameserver 10.0.0.3
nameserver 10.0.0.4
domain old.example
search Corp.example. b.example
options ndots:5
`;
  expect(parseResolvConf(text)).toEqual({
    servers: ["10.0.0.2", "fe80::1%eth0", "10.0.0.3"].map((host) => ({ host, port: 53 })),
    search: ["corp.example", "b.example"],
  });
  expect(parseResolvConf("")).toEqual({ servers: [], search: [] });
});
