// Ways to write the path of a page, of which servers read some as that page: what CVEs of the last years were about.

/** The page that nobody may have, and what it says. */
export const SECRET_PATH = "/private/secret.html";
export const SECRET_TEXT = "the-secret-that-nobody-may-have";

const DOTS = [".", "%2e", "%2E", "%252e", "%c0%ae", "．"];
const SLASHES = [
  "/",
  "//",
  "///",
  "%2f",
  "%2F",
  "%5c",
  "\\",
  "%252f",
  "/./",
  "/.//",
  "%c0%af",
  "/;/",
  ";/",
  "/;x=y/",
];
const ENDS = ["", "/.", "?x=/..", "#", "%00", "%20", ";a=b", "/..", ",x", "%3f"];
const PREFIXES = ["", "/public/..", "/x/y/../..", "/public;a=b/..", "/public/x", "/private/.."];

/** Every spelling once, as a request's target. */
export function spellings(): readonly string[] {
  const found = new Set<string>();
  const add = (target: string): void => {
    // What is no request target at all is another test's business.
    if (!/[\r\n]/.test(target)) found.add(target);
  };
  // Escapes of each octet, in each case, in each place of the path.
  for (let index = 1; index < SECRET_PATH.length; index++) {
    const code = SECRET_PATH.charCodeAt(index).toString(16).padStart(2, "0");
    for (const escape of [`%${code}`, `%${code.toUpperCase()}`, `%25${code}`, `%u00${code}`])
      add(SECRET_PATH.slice(0, index) + escape + SECRET_PATH.slice(index + 1));
  }
  for (let octet = 1; octet < 256; octet++) {
    const escape = `%${octet.toString(16).padStart(2, "0")}`;
    for (const target of [
      `/private${escape}secret.html`,
      `${escape}private/secret.html`,
      `/private/secret.html${escape}`,
      `/${escape}private/secret.html`,
      `/private/${escape}secret.html`,
      `/private${escape}/secret.html`,
    ])
      add(target.startsWith("/") ? target : `/${target}`);
  }
  for (const prefix of PREFIXES) {
    for (const slash of SLASHES) {
      for (const end of ENDS) {
        add(`${prefix}${slash}private/secret.html${end}`.replace(/^(?!\/)/, "/"));
        add(`${prefix}/private${slash}secret.html${end}`.replace(/^(?!\/)/, "/"));
      }
      for (const dot of DOTS) {
        for (const target of [
          `${prefix}/x${slash}${dot}${dot}${slash}private/secret.html`,
          `${prefix}/x/${dot}${dot}/private${slash}secret.html`,
          `${prefix}/x/y${slash}${dot}${dot}${slash}${dot}${dot}${slash}private/secret.html`,
          `${prefix}${slash}${dot}${slash}private/secret.html`,
          `${prefix}/private${slash}${dot}${slash}secret.html`,
          `${prefix}/private/x${slash}${dot}${dot}${slash}secret.html`,
        ])
          add(target.replace(/^(?!\/)/, "/"));
      }
    }
  }
  for (const target of [
    "/PRIVATE/secret.html",
    "/Private/Secret.html",
    "/private/SECRET.HTML",
    "http://x/private/secret.html",
    "http://x//private/secret.html",
    "http://x/%70rivate/secret.html",
  ])
    add(target);
  return [...found];
}
