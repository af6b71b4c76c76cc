import { setFlagsFromString } from "node:v8";

/**
 * Lets V8's young generation grow under load, as it does by default. `bin/tulle.mjs` keeps it from growing while a
 * sidecar starts: that saves 3 MB in every idle one. For good, it would cost a busy one 15 % more CPU time
 * (measured with a fixed semi-space of 2 MB: 21.8 instead of 18.6 µs a request).
 */
export function letYoungGenerationGrow(): void {
  setFlagsFromString("--semi-space-growth-factor=2");
}
