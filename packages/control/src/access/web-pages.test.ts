import { expect, test } from "vitest";

import { refuseWebPages } from "./web-pages.js";

const URL_OF_OURS = new URL("https://mesh.example:8500/tulle/v1/explain");

function verdict(method: string, headers: Record<string, string>): string {
  try {
    refuseWebPages(method, URL_OF_OURS, new Headers(headers));
    return "let in";
  } catch (thrown) {
    return (thrown as { readonly code: string }).code;
  }
}

test.each([
  ["POST", {}],
  ["PUT", { "content-type": "application/x-www-form-urlencoded" }],
  ["POST", { "content-type": "application/json" }],
  ["POST", { origin: "https://mesh.example:8500", "sec-fetch-site": "same-origin" }],
  ["GET", { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }],
  ["GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
])("refuseWebPages lets %s %j in", (method, headers) => {
  expect(verdict(method, headers as unknown as Record<string, string>)).toBe("let in");
});

test.each([
  ["POST", { origin: "https://evil.example" }],
  ["PUT", { origin: "https://mesh.example" }],
  ["DELETE", { origin: "http://mesh.example:8500" }],
  ["GET", { origin: "null" }],
  ["GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
  ["POST", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
  ["POST", { "sec-fetch-site": "same-site" }],
  ["POST", { "sec-fetch-site": "nonsense" }],
])("refuseWebPages refuses %s %j", (method, headers) => {
  expect(verdict(method, headers as unknown as Record<string, string>)).toBe("ACCESS_WEB_PAGE");
});

test.each([
  "text/plain",
  "TEXT/PLAIN; charset=utf-8",
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
])("refuseWebPages refuses a POST of %s, which forms can send", (type) =>
  expect(verdict("POST", { "content-type": type })).toBe("ACCESS_FORM"),
);
