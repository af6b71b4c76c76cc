import type { Reader } from "./format-source.js";

const two = (value: number): string => String(value).padStart(2, "0");

/** The conversions of strftime that Envoy's `%START_TIME(…)%` is used with, in UTC. */
const CONVERSIONS: Readonly<Record<string, (time: Date) => string>> = {
  Y: (t) => String(t.getUTCFullYear()),
  m: (t) => two(t.getUTCMonth() + 1),
  d: (t) => two(t.getUTCDate()),
  H: (t) => two(t.getUTCHours()),
  M: (t) => two(t.getUTCMinutes()),
  S: (t) => two(t.getUTCSeconds()),
  F: (t) => t.toISOString().slice(0, 10),
  T: (t) => t.toISOString().slice(11, 19),
  s: (t) => String(Math.floor(t.getTime() / 1000)),
  "3f": (t) => String(t.getUTCMilliseconds()).padStart(3, "0"),
  "6f": (t) => `${String(t.getUTCMilliseconds()).padStart(3, "0")}000`,
  "9f": (t) => `${String(t.getUTCMilliseconds()).padStart(3, "0")}000000`,
  f: (t) => `${String(t.getUTCMilliseconds()).padStart(3, "0")}000000`,
  Z: () => "UTC",
  z: () => "+0000",
  "%": () => "%",
};

/** When an exchange began, by a strftime format. A conversion that is not known stays as it is written. */
export function compileTimeFormat(format: string): Reader {
  return ({ startTimeMs }) => {
    const time = new Date(startTimeMs);
    return format.replaceAll(
      /%(\d?[A-Za-z%])/g,
      (written, name: string) => CONVERSIONS[name]?.(time) ?? written,
    );
  };
}
