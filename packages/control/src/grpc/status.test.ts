import { MeshError } from "@tulle/base";
import { GrpcStatus } from "@tulle/http";
import { expect, test } from "vitest";

import { grpcFailureOf } from "./status.js";

test("grpcFailureOf tells the peer what to do, and nothing of internal failures", () => {
  expect(grpcFailureOf(new MeshError("denied", "X", "ask for another"))).toEqual({
    status: GrpcStatus.PERMISSION_DENIED,
    message: "ask for another",
  });
  const hidden = grpcFailureOf(new Error("/etc/secret: EACCES"));
  expect(hidden.status).toBe(GrpcStatus.INTERNAL);
  expect(hidden.message).not.toContain("secret");
});
