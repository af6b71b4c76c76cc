import { z } from "zod";
import { integer, port } from "../schema/numbers.js";
import { struct, type Rule } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { backendObjectRef } from "../gateway-api/backend-refs.js";
import { extensionRef, fieldOfType, notBoth, onceEach } from "../gateway-api/filters.js";
import { headerModifier } from "../gateway-api/header-modifier.js";
import { atMost, distinct } from "../gateway-api/lists.js";
import { requestMirror } from "../gateway-api/mirror.js";
import { httpName, preciseHostname } from "../gateway-api/names.js";
import { httpMethodOrAll } from "./match.js";
import { allOrSome } from "./rules.js";

// Nothing of it may end a header or begin a query.
const newPath = stringThat(
  (value) => value.length <= 1024 && /^[!-~]*$/.test(value) && !/[?#]/.test(value),
  'a path of at most 1024 printable ASCII characters without "?" and "#"',
);

const authPath = stringThat(
  (value) => value.length <= 1024 && /^\/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$/.test(value),
  'a path of at most 1024 characters, such as "/check"',
);

export const pathModifier = struct(
  {
    type: z.enum(["ReplaceFullPath", "ReplacePrefixMatch"]),
    replaceFullPath: newPath.exactOptional(),
    replacePrefixMatch: newPath.exactOptional(),
  },
  fieldOfType({ ReplaceFullPath: "replaceFullPath", ReplacePrefixMatch: "replacePrefixMatch" }),
);

export const requestRedirect = struct({
  scheme: z.enum(["http", "https"]).exactOptional(),
  hostname: preciseHostname.exactOptional(),
  path: pathModifier.exactOptional(),
  port: port.exactOptional(),
  statusCode: z.literal([301, 302, 303, 307, 308]).exactOptional(),
});

const urlRewrite = struct({ hostname: preciseHostname.exactOptional(), path: pathModifier.exactOptional() });

const ORIGIN = /^https?:\/\/(?:\*|(?:\*\.)?[A-Za-z0-9](?:[-A-Za-z0-9.*]*[A-Za-z0-9*])?)(?::(?:\d{1,5}|\*))?$/;
const origin = stringThat(
  (value) => value === "*" || (value.length <= 253 && ORIGIN.test(value)),
  'an origin such as "https://www.example.com" or "https://*.example.com", or "*"',
);
const headerOrAll = stringThat(
  (value) => value === "*" || httpName.safeParse(value).success,
  'a header name such as "x-user", or "*"',
);

const cors = struct(
  {
    allowOrigins: distinct(atMost(64, origin)).exactOptional(),
    allowCredentials: z.boolean().exactOptional(),
    allowMethods: distinct(atMost(9, httpMethodOrAll)).exactOptional(),
    allowHeaders: distinct(atMost(64, headerOrAll)).exactOptional(),
    exposeHeaders: distinct(atMost(64, headerOrAll)).exactOptional(),
    maxAge: integer(1, 2_147_483_647, "a number of seconds").exactOptional(),
  },
  allOrSome("allowOrigins"),
  allOrSome("allowMethods"),
  allOrSome("allowHeaders"),
);

const fieldNames = distinct(atMost(64, httpName));

const externalAuth = struct(
  {
    protocol: z.enum(["HTTP", "GRPC"]),
    backendRef: backendObjectRef,
    grpc: struct({ allowedHeaders: fieldNames.exactOptional() }).exactOptional(),
    http: struct({
      path: authPath.exactOptional(),
      allowedHeaders: fieldNames.exactOptional(),
      allowedResponseHeaders: fieldNames.exactOptional(),
    }).exactOptional(),
    forwardBody: struct({ maxSize: integer(0, 65_535, "a number of bytes").exactOptional() }).exactOptional(),
  },
  (fields, report) => {
    for (const [protocol, field] of [
      ["GRPC", "grpc"],
      ["HTTP", "http"],
    ] as const) {
      const isSet = fields[field] !== undefined;
      if (fields["protocol"] === protocol && !isSet) report([field], `is required with protocol ${protocol}`);
      if (fields["protocol"] !== protocol && isSet) report([field], `is for protocol ${protocol} only`);
    }
  },
);

/** The types of filters, each with the field that it needs. */
const FIELDS = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  CORS: "cors",
  ExternalAuth: "externalAuth",
  ExtensionRef: "extensionRef",
} as const;

export const httpRouteFilter = struct(
  {
    type: z.enum(Object.keys(FIELDS) as (keyof typeof FIELDS)[]),
    requestHeaderModifier: headerModifier.exactOptional(),
    responseHeaderModifier: headerModifier.exactOptional(),
    requestMirror: requestMirror.exactOptional(),
    requestRedirect: requestRedirect.exactOptional(),
    urlRewrite: urlRewrite.exactOptional(),
    cors: cors.exactOptional(),
    externalAuth: externalAuth.exactOptional(),
    extensionRef: extensionRef.exactOptional(),
  },
  fieldOfType(FIELDS),
);

/** What holds for a list of filters, of a rule or of a backend. */
export const filterRules: readonly Rule[] = [
  notBoth("RequestRedirect", "URLRewrite"),
  onceEach(
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "URLRewrite",
    "CORS",
    "ExternalAuth",
  ),
];
