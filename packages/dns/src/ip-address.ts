import { parseIpBytes } from "@tulle/base";

/** The bytes of an IP literal, as `parseIpBytes` reads it. */
export function parseIpAddress(text: string): Buffer | undefined {
  const bytes = parseIpBytes(text);
  return bytes === undefined ? undefined : Buffer.from(bytes);
}

/** The literal for 4 or 16 bytes as `<hex ip>.addr.…` names them, or undefined for other lengths or digits. */
export function parseHexAddress(hex: string): Buffer | undefined {
  return (hex.length === 8 || hex.length === 32) && /^[0-9a-f]+$/i.test(hex)
    ? Buffer.from(hex, "hex")
    : undefined;
}
