import { below, mix } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";

/** Largest sum of weights, Envoy's bound. */
const MAX_TOTAL_WEIGHT = 0xffff_ffff;

/** Weighted choice among a few things, the same for equal entropy. */
export class Split<Choice> {
  readonly choices: readonly Choice[];
  /** Running sums of the weights. */
  readonly #upTo: readonly number[];
  readonly #total: number;
  readonly #salt: number;

  /** `weights` are checked: their sum must be 1 to 2^32 - 1. Choices of weight 0 are never made. */
  constructor(field: string, choices: readonly Choice[], weights: readonly number[], salt: number) {
    let total = 0;
    this.#upTo = weights.map((weight) => (total += weight));
    if (total < 1) throw invalid(at(field, "clusters"), "the sum of the weights must be greater than zero");
    if (total > MAX_TOTAL_WEIGHT)
      throw invalid(at(field, "clusters"), "the sum of the weights must be below 2^32");
    this.choices = choices;
    this.#total = total;
    this.#salt = salt;
  }

  choose(entropy: number): Choice {
    return this.at(this.draw(entropy));
  }

  /** The choice at a point of the sum of the weights: a whole number below it. */
  at(point: number): Choice {
    let index = 0;
    while (point >= this.#upTo[index]!) index++;
    return this.choices[index]!;
  }

  /** Where equal entropy falls in the sum of the weights. */
  draw(entropy: number): number {
    return below(mix(entropy, this.#salt), this.#total);
  }

  /** The sum of the weights. */
  get total(): number {
    return this.#total;
  }

  /** The weight of a choice. */
  weight(index: number): number {
    return this.#upTo[index]! - (this.#upTo[index - 1] ?? 0);
  }
}
