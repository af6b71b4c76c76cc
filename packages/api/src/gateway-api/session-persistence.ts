import { z } from "zod";
import { isFields, struct, type Rule } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { gatewayDuration } from "./names.js";

const permanentEnds: Rule = (fields, report) => {
  const cookie = fields["cookieConfig"];
  if (isFields(cookie) && cookie["lifetimeType"] === "Permanent" && fields["absoluteTimeout"] === undefined) {
    report(["absoluteTimeout"], "is required for a permanent cookie");
  }
};

export const sessionPersistence = struct(
  {
    // A cookie's and a header's name are tokens both (RFC 6265, RFC 9110).
    sessionName: stringThat(
      (value) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/.test(value),
      "a name of 1 to 128 letters, digits and !#$%&'*+-.^_`|~",
    ).exactOptional(),
    absoluteTimeout: gatewayDuration.exactOptional(),
    idleTimeout: gatewayDuration.exactOptional(),
    type: z.enum(["Cookie", "Header"]).exactOptional(),
    cookieConfig: struct({
      lifetimeType: z.enum(["Permanent", "Session"]).exactOptional(),
    }).exactOptional(),
  },
  permanentEnds,
);
