import { expect, test } from "vitest";
import { parseRequestTarget } from "./request-target.js";

test.each([
  ["GET", "/a?b", { form: "origin", scheme: "", authority: "", path: "/a?b" }],
  ["GET", "//a", { form: "origin", scheme: "", authority: "", path: "//a" }],
  ["GET", "http://Evil:81/x?y", { form: "absolute", scheme: "http", authority: "Evil:81", path: "/x?y" }],
  ["GET", "HTTPS://a", { form: "absolute", scheme: "https", authority: "a", path: "/" }],
  ["GET", "http://a?b=/", { form: "absolute", scheme: "http", authority: "a", path: "/?b=/" }],
  ["OPTIONS", "*", { form: "asterisk", scheme: "", authority: "", path: "*" }],
  ["CONNECT", "db:5432", { form: "authority", scheme: "", authority: "db:5432", path: "" }],
] as const)("parseRequestTarget takes %s %s apart", (method, target, expected) => {
  expect(parseRequestTarget(method, target)).toEqual(expected);
});

test.each([
  ["GET", ""],
  ["GET", "*"],
  ["GET", "a"],
  ["GET", "a:80"],
  ["GET", "/a#b"],
  ["GET", "/a b"],
  ["GET", "/\u0100"],
  ["GET", "http://u@a/"],
  ["GET", "http:///x"],
  ["GET", "http://a:0/"],
  ["GET", "ftp://a/"],
  ["GET", "http:/a"],
  ["CONNECT", "db"],
  ["CONNECT", "/"],
  ["CONNECT", "*"],
  ["CONNECT", "http://a/"],
  ["OPTIONS", "*/x"],
])("parseRequestTarget refuses %s %j", (method, target) => {
  expect(parseRequestTarget(method, target)).toBeUndefined();
});
