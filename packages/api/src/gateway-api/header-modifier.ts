import { listOf, struct, structsOf, type Rule } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { atMost } from "./lists.js";
import { headerValue } from "./names.js";

const isOrdinary = (name: string) => /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/.test(name);
const changed = stringThat(
  (name) => isOrdinary(name) && name.toLowerCase() !== "host",
  'the name of a header other than "host"; the host is changed by a URLRewrite filter',
);
const field = struct({ name: changed, value: headerValue });

/** One header, one action. */
const distinctNames: Rule = (fields, report) => {
  const seen = new Map<string, string>();
  const note = (path: readonly (string | number)[], name: unknown) => {
    if (typeof name !== "string") return;
    const before = seen.get(name.toLowerCase());
    if (before === undefined) seen.set(name.toLowerCase(), path.slice(0, 2).join("."));
    else report(path, `repeats ${JSON.stringify(name)} (${before}): a header takes one change`);
  };
  for (const list of ["set", "add"]) {
    for (const [index, { name }] of structsOf(fields[list])) note([list, index, "name"], name);
  }
  listOf(fields["remove"]).forEach((name, index) => note(["remove", index], name));
};

const additions = { set: atMost(16, field).exactOptional(), add: atMost(16, field).exactOptional() };

/** Headers of an answer that has none to lose. */
export const headerAdditions = struct(additions, distinctNames);

export const headerModifier = struct(
  { ...additions, remove: atMost(16, changed).exactOptional() },
  distinctNames,
);
