import { expect, test } from "vitest";
import { listenerSetKind } from "./kind.js";

const http = { name: "http", port: 80, protocol: "HTTP" };
const parentRef = { name: "public" };

test("check accepts what a Gateway's listeners may have", () => {
  const spec = {
    parentRef: { group: "gateway.networking.k8s.io", kind: "Gateway", name: "public", namespace: "edge" },
    listeners: [
      { ...http, hostname: "*.example.com", allowedRoutes: { namespaces: { from: "All" } } },
      { name: "tls", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "web" }] } },
    ],
  };
  expect(listenerSetKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each([
  [{ listeners: [http] }, "spec.parentRef"],
  [{ parentRef: { kind: "Service", group: "", name: "a" }, listeners: [http] }, "spec.parentRef.kind"],
  [{ parentRef }, "spec.listeners"],
  [{ parentRef, listeners: [] }, "spec.listeners"],
  [{ parentRef, listeners: [http, { ...http, port: 81 }] }, "spec.listeners[1].name"],
  [{ parentRef, listeners: [http, { ...http, name: "b" }] }, "spec.listeners[1]"],
  [{ parentRef, listeners: [{ name: "a", port: 443, protocol: "HTTPS" }] }, "spec.listeners[0].tls"],
  [{ parentRef, listeners: [http], addresses: [] }, "spec.addresses"],
])("check refuses %j", (spec, path) => {
  const checked = listenerSetKind.check({ spec });
  expect(checked.ok ? [] : checked.violations.map((violation) => violation.path)).toContain(path);
});
