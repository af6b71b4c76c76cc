import type { Trace, TraceEvent, TraceStep } from "../trace.js";
import type { ExplainedEvent, ExplainedStep, Owner } from "./contract.js";
import { ownerOf } from "./owner.js";

/** Events of one explanation, at most; what comes after is left out. */
const MAX_EVENTS = 2000;

/** Keeps a decision's events. */
export class Recorder implements Trace {
  readonly #events: TraceEvent[] = [];

  add(event: TraceEvent): void {
    if (this.#events.length < MAX_EVENTS) this.#events.push(event);
  }

  /** The events of a step so far. */
  of(step: TraceStep): readonly TraceEvent[] {
    return this.#events.filter((event) => event.step === step);
  }

  /** What came last. */
  get last(): TraceEvent | undefined {
    return this.#events.at(-1);
  }

  /** The events by step, steps in the order in which they were first taken. */
  steps(locate: ((owner: Owner) => string | undefined) | undefined): readonly ExplainedStep[] {
    const steps = new Map<TraceStep, ExplainedEvent[]>();
    for (const { step, subject, verdict, reason, owner, facts } of this.#events) {
      const known = ownerOf(owner, locate);
      const event: ExplainedEvent = {
        subject,
        verdict,
        reason,
        ...(known === undefined ? {} : { owner: known }),
        ...(facts === undefined ? {} : { facts }),
      };
      const same = steps.get(step);
      if (same === undefined) steps.set(step, [event]);
      else same.push(event);
    }
    return [...steps].map(([step, events]) => ({ step, events }));
  }
}
