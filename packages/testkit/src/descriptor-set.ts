import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/**
 * Compiles the text of a `.proto` file to a descriptor set with all that it imports, as `protoc --include_imports
 * --descriptor_set_out` does. It may import what is in `google/api` and `google/rpc`.
 */
export function compileProto(text: string): Uint8Array {
  const buf = join(dirname(require.resolve("@bufbuild/buf/package.json")), "bin/buf");
  const googleapis = join(dirname(require.resolve("@grpc/grpc-js-xds/package.json")), "deps/googleapis");
  const directory = mkdtempSync(join(tmpdir(), "tulle-proto-"));
  try {
    mkdirSync(join(directory, "own"));
    symlinkSync(googleapis, join(directory, "googleapis"));
    writeFileSync(join(directory, "own/test.proto"), text);
    writeFileSync(
      join(directory, "buf.yaml"),
      "version: v2\nmodules:\n  - path: own\n  - path: googleapis\n",
    );
    const args = ["build", "--path", "own/test.proto", "--exclude-source-info", "-o", "set.binpb"];
    const { status, stderr } = spawnSync(buf, args, { cwd: directory, encoding: "utf8" });
    if (status !== 0) throw new Error(`buf build failed: ${stderr}`);
    return new Uint8Array(readFileSync(join(directory, "set.binpb")));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
