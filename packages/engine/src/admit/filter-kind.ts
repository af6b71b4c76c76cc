import type { Any } from "@bufbuild/protobuf/wkt";
import type { AdmissionStep, StepVariant } from "../contract.js";

/** An HTTP filter that this engine carries out: how its messages become steps. */
export interface FilterKind {
  /** Full name of the message in a chain. */
  readonly type: string;
  /** Full name of the message in a route; most filters have one for both. */
  readonly routeType: string;
  /** Compiles what the chain says; undefined = it does nothing where a route says nothing else. */
  compile(field: string, any: Any, place: string): AdmissionStep | undefined;
  /** Compiles what a route says in place of the chain, or to it; undefined = there it does nothing. */
  compileRoute(field: string, any: Any, place: string): AdmissionStep | StepVariant | undefined;
}
