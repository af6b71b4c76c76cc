import { objectKey, objectText, type MeshObject, type Violation } from "@tulle/api";
import { chainProblems, type ChainProblem, type MeshReader } from "@tulle/translate";

/** A discovery chain of Consul's that a write breaks. */
export interface BrokenChain extends Violation {
  readonly kind: ChainProblem["kind"];
}

/** What is wrong among Consul's entries after the write of an object that was not before, in its own chain or another's. */
export function newlyBroken(
  before: MeshReader,
  after: MeshReader,
  object: MeshObject,
): readonly BrokenChain[] {
  const known = new Set(chainProblems(before).map(textOf));
  return chainProblems(after)
    .filter((problem) => !known.has(textOf(problem)))
    .map((problem) =>
      problem.object === object
        ? { kind: problem.kind, path: problem.path, message: problem.message }
        : { kind: problem.kind, path: "spec", message: `with it, ${textOf(problem)}` },
    );
}

function textOf({ object, path, message }: ChainProblem): string {
  return `${objectText(objectKey(object))} ${path}: ${message}`;
}
