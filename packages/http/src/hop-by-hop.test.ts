import { expect, test } from "vitest";
import { connectionOptions, isForbiddenInTrailers, isHopByHop } from "./hop-by-hop.js";

test("isHopByHop knows the fields of one connection only", () => {
  for (const name of ["connection", "keep-alive", "te", "upgrade", "proxy-connection", "http2-settings"]) {
    expect(isHopByHop(name)).toBe(true);
  }
  for (const name of ["host", "trailer", "x-a", "constructor"]) expect(isHopByHop(name)).toBe(false);
});

test("connectionOptions names what the sender declares hop-by-hop, save what it may not take away", () => {
  const names =
    "close, X-Custom, keep-alive, X-Forwarded-For, X-Forwarded-Host, Authorization, Cookie, Host, Content-Length";
  expect(connectionOptions(`${names},Other`)).toEqual(["x-custom", "other"]);
  for (const usual of ["keep-alive", "Close", ""]) expect(connectionOptions(usual)).toEqual([]);
});

test("isForbiddenInTrailers keeps framing, routing and authentication out of trailers", () => {
  for (const name of [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "x-forwarded-client-cert",
  ]) {
    expect(isForbiddenInTrailers(name)).toBe(true);
  }
  for (const name of ["grpc-status", "grpc-message", "digest"])
    expect(isForbiddenInTrailers(name)).toBe(false);
});
