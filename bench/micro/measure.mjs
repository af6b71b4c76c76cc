/** How long each measurement takes, from the command line. */
export const seconds = Number(process.argv[2] ?? 1);

/** Nanoseconds of one run: median of five rounds, after a warm-up. */
export function measure(run) {
  const rounds = Array.from({ length: 6 }, () => {
    let count = 0;
    const start = performance.now();
    const deadline = start + (seconds * 1000) / 6;
    do {
      for (let i = 0; i < 1000; i++) run();
      count += 1000;
    } while (performance.now() < deadline);
    return ((performance.now() - start) * 1e6) / count;
  });
  return rounds.slice(1).sort((a, b) => a - b)[2];
}
