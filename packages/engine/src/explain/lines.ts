/** Fields as `name: value`. */
export function lines(headers: readonly string[]): readonly string[] {
  const written: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    written.push(`${headers[index]!}: ${headers[index + 1]!}`);
  return written;
}
