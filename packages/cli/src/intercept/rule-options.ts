import { isIPv4 } from "node:net";

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

/** Reads `10.0.0.0/8,192.0.2.1`. */
export function parseNetworks(text: string): readonly string[] {
  return listOf(text, "IPv4 addresses or networks, such as 10.0.0.0/8,192.0.2.1", (word) => {
    const [address = "", length = "32", ...rest] = word.split("/");
    return rest.length === 0 && isIPv4(address) && /^\d{1,2}$/.test(length) && Number(length) <= 32;
  });
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
