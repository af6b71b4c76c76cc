/** Names that are missing at a proxy, that it has in another version, and that it should not have. */
export interface DifferingNames {
  /** Those that the proxy lacks or has otherwise, or has although it was told that there is none. */
  readonly names: readonly string[];
  /** For people: the first few, each with what is wrong. */
  readonly text: string;
}

/** Names in a log line. */
const MAX_QUOTED = 5;

/** Compares names with versions. `cut`: what `held` lacks may be held all the same. */
export function differingNames(
  acknowledged: ReadonlyMap<string, string>,
  held: ReadonlyMap<string, string>,
  cut: boolean,
): DifferingNames {
  const found: (readonly [name: string, what: string])[] = [];
  for (const [name, version] of acknowledged) {
    const has = held.get(name);
    if (has === undefined) {
      if (!cut) found.push([name, "missing"]);
    } else if (has !== version) found.push([name, `has ${has}, was sent ${version}`]);
  }
  for (const name of held.keys())
    if (!acknowledged.has(name)) found.push([name, "not (any more) to be there"]);
  const quoted = found.slice(0, MAX_QUOTED).map(([name, what]) => `${name}: ${what}`);
  const more = found.length - quoted.length;
  if (more > 0) quoted.push(`and ${more} more`);
  return { names: found.map(([name]) => name), text: quoted.join("; ") };
}
