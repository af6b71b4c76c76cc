import { z } from "zod";
import { label, nonEmpty, text } from "../schema/strings.js";
import { struct, type Rule } from "../schema/struct.js";

/** Which certificate fields a mode needs and which it cannot have. */
const certificates: Rule = (fields, report) => {
  const files = ["clientCertificate", "privateKey", "caCertificates"];
  const given = (name: string) => fields[name] !== undefined && fields[name] !== "";
  switch (fields["mode"]) {
    case "MUTUAL":
      if (given("credentialName")) break;
      for (const name of ["clientCertificate", "privateKey"]) {
        if (!given(name)) report([name], "is required with mode MUTUAL, unless credentialName is given");
      }
      break;
    case "ISTIO_MUTUAL":
      for (const name of [...files, "credentialName"]) {
        if (given(name))
          report([name], "cannot be given with mode ISTIO_MUTUAL: the mesh's certificates are used");
      }
      break;
    default:
      break;
  }
  if (fields["mode"] !== "ISTIO_MUTUAL" && given("credentialName")) {
    for (const name of [...files, "caCrl"])
      if (given(name)) report([name], "cannot stand together with credentialName");
  }
  if (fields["insecureSkipVerify"] === true) {
    const verification = ["caCertificates", "subjectAltNames", "caCrl"];
    if (fields["mode"] === "SIMPLE") verification.push("credentialName");
    for (const name of verification) {
      if (given(name)) report([name], "cannot be given with insecureSkipVerify: nothing is verified");
    }
  }
};

/** Istio's ClientTLSSettings. */
export const clientTls = struct(
  {
    mode: z.enum(["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]).exactOptional(),
    clientCertificate: text.exactOptional(),
    privateKey: text.exactOptional(),
    caCertificates: text.exactOptional(),
    credentialName: label.exactOptional(),
    subjectAltNames: z.array(nonEmpty).exactOptional(),
    sni: text.exactOptional(),
    insecureSkipVerify: z.boolean().exactOptional(),
    caCrl: text.exactOptional(),
  },
  certificates,
);
