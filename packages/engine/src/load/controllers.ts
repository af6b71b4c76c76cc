import { mix, saltOf } from "../entropy.js";
import { GradientController, type GradientSettings } from "./gradient-controller.js";
import { SuccessWindow, type SuccessSettings } from "./success-window.js";

/** So many of each kind are kept; beyond them the one made first is forgotten. Configuration makes them, not callers. */
export const MAX_CONTROLLERS = 1024;

/**
 * What filters learn from the requests that they let through, by the filter's place and settings: it outlives changes of
 * the configuration. Each thread learns for itself.
 */
export class Controllers {
  readonly #gradients = new Map<string, GradientController>();
  readonly #windows = new Map<string, SuccessWindow>();
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** The controller of that key, made at first use. `name`: what it is of, for metrics. */
  gradient(key: string, name: string, settings: GradientSettings): GradientController {
    const known = this.#gradients.get(key);
    if (known !== undefined) return known;
    const made = new GradientController(name, settings, mix(this.#seed, saltOf(key)));
    keep(this.#gradients, key, made);
    return made;
  }

  /** The window of that key, made at first use. `name`: what it is of, for metrics. */
  successes(key: string, name: string, settings: SuccessSettings): SuccessWindow {
    const known = this.#windows.get(key);
    if (known !== undefined) return known;
    const made = new SuccessWindow(name, settings);
    keep(this.#windows, key, made);
    return made;
  }

  /** All of them, the oldest first; several may have one name after a change of settings. */
  gradients(): Iterable<GradientController> {
    return this.#gradients.values();
  }

  windows(): Iterable<SuccessWindow> {
    return this.#windows.values();
  }
}

function keep<T>(all: Map<string, T>, key: string, made: T): void {
  all.set(key, made);
  if (all.size <= MAX_CONTROLLERS) return;
  for (const first of all.keys()) {
    all.delete(first);
    return;
  }
}
