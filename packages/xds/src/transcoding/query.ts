import { decodePercent } from "./percent-decoding.js";

/** Most parameters that are looked at. */
const MAX_PARAMETERS = 256;

/** Names and values of a query, decoded; undefined when there are more than 256. */
export function readQuery(
  query: string,
  plusIsBlank: boolean,
): readonly (readonly [name: string, value: string])[] | undefined {
  if (query === "") return [];
  const parts = query.split("&", MAX_PARAMETERS + 1);
  if (parts.length > MAX_PARAMETERS) return undefined;
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
      return [decodePercent(name, "nothing", plusIsBlank), decodePercent(value, "nothing", plusIsBlank)];
    });
}
