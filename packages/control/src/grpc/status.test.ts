import { status } from "@grpc/grpc-js";
import { MeshError } from "@tulle/base";
import { expect, test } from "vitest";

import { grpcStatusOf } from "./status.js";

test("grpcStatusOf tells the peer what to do, and nothing of internal failures", () => {
  expect(grpcStatusOf(new MeshError("denied", "X", "ask for another"))).toEqual({
    code: status.PERMISSION_DENIED,
    details: "ask for another",
  });
  const hidden = grpcStatusOf(new Error("/etc/secret: EACCES"));
  expect(hidden.code).toBe(status.INTERNAL);
  expect(hidden.details).not.toContain("secret");
});
