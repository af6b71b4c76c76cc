import { parseDuration } from "@tulle/base";
import { stringThat } from "../schema/strings.js";

/** Gateway API's group. */
export const GATEWAY_API_GROUP = "gateway.networking.k8s.io";

const LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const IP_V4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const KIND = /^[a-zA-Z](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const DURATION = /^(?:\d{1,5}(?:h|m|s|ms)){1,4}$/;
const HEADER = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/;
const HEADER_VALUE = /^[!-~](?:[!-~\t ]*[!-~])?$/;
const TWO_SPACES = /[\t ]{2}/;

const isSubdomain = (value: string) => value.length <= 253 && SUBDOMAIN.test(value);

/** An API group; empty = the core group. */
export const group = stringThat(
  (value) => value === "" || isSubdomain(value),
  'an API group such as "networking.istio.io", or "" for the core group',
);

export const kindName = stringThat(
  (value) => value.length <= 63 && KIND.test(value),
  'a kind such as "Service"',
);

export const objectName = stringThat(
  (value) => value.length > 0 && value.length <= 253,
  "a name of 1 to 253 characters",
);

/** Name of a part of an object: of a rule, or of a service's port. */
export const sectionName = stringThat(
  isSubdomain,
  "a name of lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit",
);

/** A host without wildcard, no IP address. */
export const preciseHostname = stringThat(
  (value) => isSubdomain(value) && !IP_V4.test(value),
  'a lower-case host name such as "www.example.com"',
);

/** A host or `*.suffix`, no IP address. */
export const hostname = stringThat((value) => {
  const name = value.startsWith("*.") ? value.slice(2) : value;
  return value.length <= 253 && isSubdomain(name) && !IP_V4.test(name);
}, 'a lower-case host name such as "www.example.com", or a wildcard such as "*.example.com"');

/** Also the form of query parameters' names. */
export const httpName = stringThat((value) => HEADER.test(value), 'a header name such as "x-user"');

export const headerValue = stringThat(
  (value) => value.length <= 4096 && HEADER_VALUE.test(value) && !TWO_SPACES.test(value),
  "1 to 4096 printable ASCII characters with single spaces between them",
);

/** GEP-2257: what Go's durations and Kubernetes have in common; whole numbers, no unit below milliseconds. */
export const gatewayDuration = stringThat(
  (value) => DURATION.test(value) && parseDuration(value) !== undefined,
  'a duration of whole numbers such as "10s", "500ms" or "1h30m"',
);
