/** Whether `path[0, end)` matches; `end` is where the query or fragment begins. */
export type PathTest = (path: string, end: number) => boolean;

/** Length of the path proper: up to the query or fragment. */
export function pathEnd(path: string): number {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === 0x3f || code === 0x23) return index;
  }
  return path.length;
}
