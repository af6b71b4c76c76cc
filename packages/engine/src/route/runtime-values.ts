/** A share that a runtime key has now. */
export interface RuntimeShare {
  readonly numerator: number;
  readonly denominator: number;
}

/** What runtime keys are set to; a key that is not here has the default that configuration gives it. */
export type RuntimeValues = ReadonlyMap<string, RuntimeShare>;

export const NO_RUNTIME: RuntimeValues = new Map();

/** Keys that were named since somebody began to listen; undefined: nobody does. */
let named: boolean | undefined;

/** A key was compiled into something. */
export function noteRuntimeKey(): void {
  if (named !== undefined) named = true;
}

/**
 * What `compile` gives, and whether it named a runtime key: then the values are to be asked for. Compiling takes no turns, so
 * that what is noted meanwhile is its own.
 */
export function notingRuntimeKeys<Part>(compile: () => Part): {
  readonly part: Part;
  readonly usesRuntime: boolean;
} {
  const before = named;
  named = false;
  try {
    const part = compile();
    return { part, usesRuntime: named };
  } finally {
    named = before;
  }
}
