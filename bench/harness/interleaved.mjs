/**
 * Starts every peer with `app`, then measures them in turn, round after round (A B C A B C …): what else the machine does
 * meets all of them alike. Peers that are missing, or fail, are skipped with the reason.
 *
 * `warmUp(instance)` comes once, before the first round; `measure(instance)` gives what one round found; `finish(instance)`
 * what is asked for at the end. Resolves with `{measured: [{peer, runs, finished}], skipped}`.
 */
export async function interleaved(context, peers, app, { rounds, warmUp, measure, finish }) {
  const skipped = [];
  const running = [];
  const skip = (peer, reason, failed) => skipped.push({ peer: peer.name, reason, failed });
  for (const peer of peers) {
    const { version, missing } = peer.version();
    if (missing !== undefined) {
      skip(peer, missing, false);
      continue;
    }
    try {
      const instance = await peer.start(context, app);
      context.note(`${peer.name} ${version} started`);
      running.push({ peer: { name: peer.name, version }, instance, runs: [], failed: false });
      await warmUp?.(instance);
    } catch (error) {
      skip(peer, error.message, true);
      if (running.at(-1)?.peer.name === peer.name) running.at(-1).failed = true;
    }
  }
  const attempt = async (each, what) => {
    if (each.failed) return undefined;
    try {
      return await what(each.instance);
    } catch (error) {
      each.failed = true;
      skip(each.peer, error.message, true);
      return undefined;
    }
  };
  for (let round = 1; round <= rounds; round++) {
    for (const each of running) {
      const found = await attempt(each, measure);
      if (found === undefined) continue;
      each.runs.push(found);
      context.note(`round ${round}: ${each.peer.name}`);
    }
  }
  for (const each of running) {
    if (finish !== undefined) each.finished = await attempt(each, finish);
    await each.instance.stop();
  }
  return { measured: running.filter(({ failed }) => !failed), skipped };
}
