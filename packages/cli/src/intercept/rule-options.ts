import { isIP } from "node:net";

import { InvalidArgumentError } from "commander";

// What these accept goes into a script that root runs: nothing but these forms gets through.

/** Reads `80,8000-8100`. */
export function parsePorts(text: string): readonly string[] {
  return listOf(text, "ports, such as 80,8000-8100", (word) => {
    const [from = "", to = from, ...rest] = word.split("-");
    const isPort = (port: string): boolean => /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535;
    return rest.length === 0 && isPort(from) && isPort(to) && Number(from) <= Number(to);
  });
}

/** Reads `10.0.0.0/8,192.0.2.1,fd00::/8`. */
export function parseNetworks(text: string): readonly string[] {
  return listOf(text, "addresses or networks, such as 10.0.0.0/8,fd00::/8", (word) => {
    const [address = "", length, ...rest] = word.split("/");
    const family = isIP(address);
    // A zone ("fe80::1%eth0") is no part of an address that rules can have, and an IPv4 address in IPv6 never arrives.
    if (family === 0 || rest.length > 0 || address.includes("%") || /^::ffff:/i.test(address)) return false;
    return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 6 ? 128 : 32));
  });
}

/** Reads ports, or `all`: an empty list. */
export function parsePortsOrAll(text: string): readonly string[] {
  return text === "all" ? [] : parsePorts(text);
}

/** Reads users or groups by name or id: `1337,tulle`. */
export function parseAccounts(text: string): readonly string[] {
  return listOf(text, "names or ids, such as 1337,tulle", (word) =>
    /^(\d{1,10}|[a-z_][a-z0-9_-]{0,31})$/.test(word),
  );
}

function listOf(text: string, expected: string, isValid: (word: string) => boolean): readonly string[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.every(isValid)) return words;
  throw new InvalidArgumentError(`expected ${expected}.`);
}
