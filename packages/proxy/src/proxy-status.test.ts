import fc from "fast-check";
import { expect, test } from "vitest";

import { addProxyStatus, PROXY_ERRORS, proxyStatusMember, type ProxyError } from "./proxy-status.js";
import { rescue } from "./rescue.js";

interface Item {
  readonly value: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** As much of a Structured Fields parser (RFC 9651 section 4.2) as lists of items need. Throws where a field is not valid. */
function parseList(text: string): readonly Item[] {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    const sticky = new RegExp(pattern, "y");
    sticky.lastIndex = at;
    const [found] = sticky.exec(text) ?? [];
    at += found?.length ?? 0;
    return found;
  };
  const bare = (): string | number => {
    const string = take(/"(?:[ !#-[\]-~]|\\["\\])*"/);
    if (string !== undefined) return string.slice(1, -1).replaceAll(/\\(.)/g, "$1");
    const integer = take(/-?\d{1,15}(?![\d.])/);
    if (integer !== undefined) return Number(integer);
    const token = take(/[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*/);
    if (token === undefined) throw new Error(`no item at ${at} of ${text}`);
    return token;
  };
  const items: Item[] = [];
  for (;;) {
    const value = String(bare());
    const parameters: Record<string, string | number> = {};
    while (take(/; */) !== undefined) {
      const key = take(/[a-z*][a-z0-9_\-.*]*/);
      if (key === undefined || take(/=/) === undefined) throw new Error(`no parameter at ${at} of ${text}`);
      parameters[key] = bare();
    }
    items.push({ value, parameters });
    if (at === text.length) return items;
    if (take(/[ \t]*,[ \t]*/) === undefined) throw new Error(`no comma at ${at} of ${text}`);
  }
}

const status = fc.record({
  name: fc.string({ unit: "binary", minLength: 1, maxLength: 300 }),
  error: fc.constantFrom(...(Object.keys(PROXY_ERRORS) as ProxyError[])),
  nextHop: fc.string({ unit: "binary", maxLength: 300 }),
  receivedStatus: fc.constantFrom(0, 200, 503),
  details: fc.string({ unit: "binary", maxLength: 500 }),
});

test("proxyStatusMember is a valid item whatever it has to say, and says what it can", () => {
  fc.assert(
    fc.property(status, (said) => {
      const [item, ...others] = parseList(proxyStatusMember(said));
      expect(others).toEqual([]);
      expect(item?.parameters["error"]).toBe(said.error);
      expect(item?.parameters["received-status"]).toBe(said.receivedStatus || undefined);
      const shown = said.details.slice(0, 256).replaceAll(/[^ -~]/g, "?");
      expect(item?.parameters["details"]).toBe(shown === "" ? undefined : shown);
    }),
  );
});

test("addProxyStatus puts its member behind those of proxies nearer to the server", () => {
  fc.assert(
    fc.property(fc.array(status, { minLength: 1, maxLength: 4 }), (all) => {
      const headers = ["Content-Type", "text/plain"];
      for (const said of all) addProxyStatus(headers, proxyStatusMember(said));
      expect(headers).toHaveLength(4);
      expect(parseList(headers[3]!).map(({ parameters }) => parameters["error"])).toEqual(
        all.map(({ error }) => error),
      );
    }),
  );
});

test("proxyStatusMember reads as RFC 9209 has it", () => {
  const member = proxyStatusMember({
    name: "tulle-reviews",
    error: "connection_refused",
    nextHop: "10.0.0.7:15006",
    receivedStatus: 503,
    details: 'a "b"',
  });
  expect(member).toBe(
    'tulle-reviews; error=connection_refused; next-hop="10.0.0.7:15006"; received-status=503; details="a \\"b\\""',
  );
});

const FACTS = {
  authority: "a",
  cluster: "c",
  endpoint: "e",
  attempts: 1,
  timeoutMs: 1,
  requestDone: true,
  bodyNotKept: false,
};

test.each([
  ["ECONNREFUSED", "connection_refused"],
  ["ETIMEDOUT", "connection_timeout"],
  ["ECONNRESET", "connection_terminated"],
  ["EHOSTUNREACH", "destination_ip_unroutable"],
  ["ENOTFOUND", "dns_error"],
  ["EAI_AGAIN", "dns_timeout"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "tls_alert_received"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls_certificate_error"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "tls_protocol_error"],
  ["", "destination_unavailable"],
])("a connection that fails with %j is the error %s", (reason, error) => {
  expect(rescue("connect-failure", { ...FACTS, reason }).error).toBe(error);
});
