/**
 * Waits until `probe` returns something other than undefined or false, asking again every few milliseconds. Fails
 * after `deadlineMs` with what the last probe threw, so a test says what it waited for.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + deadlineMs;
  let last: unknown = new Error("the condition never held");
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      last = new Error(`the condition never held: ${probe.toString().slice(0, 200)}`);
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() > end) throw last;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
