import { Writable } from "node:stream";

import { expect, test } from "vitest";

import { outputTo } from "./process-output.js";

interface Outcome {
  readonly written: readonly string[];
  readonly gone: number;
  readonly lost: readonly string[];
}

/** Writes three times to a stream that fails with `code` at the second. */
async function writeThrice(code: string): Promise<Outcome> {
  const written: string[] = [];
  const lost: string[] = [];
  let gone = 0;
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      if (written.length === 1) return done(Object.assign(new Error(`write ${code}`), { code }));
      written.push(text);
      done();
    },
  });
  const write = outputTo(
    stream,
    () => gone++,
    ({ message }) => lost.push(message),
  );
  for (const text of ["one", "two", "three"]) {
    write(text);
    await new Promise(setImmediate);
  }
  return { written, gone, lost };
}

test("a reader that goes away is no error, and is not written to again", async () => {
  for (const code of ["EPIPE", "ECONNRESET", "EIO"])
    expect(await writeThrice(code)).toEqual({ written: ["one"], gone: 1, lost: [] });
});

test("an output that fails otherwise is said to be lost", async () => {
  expect(await writeThrice("ENOSPC")).toEqual({ written: ["one"], gone: 0, lost: ["write ENOSPC"] });
});
