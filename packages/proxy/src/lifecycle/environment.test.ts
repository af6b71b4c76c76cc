import { expect, test } from "vitest";

import { upstreamEnvironment } from "./environment.js";

test("upstreamEnvironment says that an upstream does not speak HTTP", () => {
  const environment = upstreamEnvironment([{ name: "db:5432", host: "127.0.0.1", port: 1, scheme: "tcp" }]);
  expect(environment).toMatchObject({ DB_URL: "tcp://127.0.0.1:1", DB_SERVICE_PORT: "1" });
});

test("upstreamEnvironment has the URL alone of a Unix socket", () => {
  const environment = upstreamEnvironment([
    { name: "db:5432", host: "/run/db.sock", port: 0, scheme: "tcp" },
  ]);
  expect(environment).toEqual({ DB_URL: "unix:///run/db.sock" });
});

test("upstreamEnvironment names each upstream the way Kubernetes does, and tells namesakes apart", () => {
  const environment = upstreamEnvironment([
    { name: "message-service:9080", host: "127.0.0.1", port: 1 },
    { name: "reviews", host: "127.0.0.1", port: 2 },
    { name: "reviews.prod:80", host: "::1", port: 3 },
  ]);
  expect(environment).toEqual({
    MESSAGE_SERVICE_URL: "http://127.0.0.1:1",
    MESSAGE_SERVICE_SERVICE_HOST: "127.0.0.1",
    MESSAGE_SERVICE_SERVICE_PORT: "1",
    REVIEWS_URL: "http://127.0.0.1:2",
    REVIEWS_SERVICE_HOST: "127.0.0.1",
    REVIEWS_SERVICE_PORT: "2",
    REVIEWS_PROD_URL: "http://[::1]:3",
    REVIEWS_PROD_SERVICE_HOST: "::1",
    REVIEWS_PROD_SERVICE_PORT: "3",
  });
});
