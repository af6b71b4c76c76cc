import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A P-256 authority and one certificate for each side of a pair, as files: for proxies that bring no identity of
 * their own. Returns their paths; `.bundle` holds certificate and key in one file, as HAProxy wants it.
 */
export function makeCertificates(directory) {
  const path = (name) => join(directory, name);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  const key = (name) =>
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path(`${name}.key`));
  key("ca");
  openssl(
    "req",
    "-x509",
    "-new",
    "-key",
    path("ca.key"),
    "-subj",
    "/CN=bench",
    "-days",
    "2",
    "-out",
    path("ca.pem"),
  );
  for (const name of ["client", "server"]) {
    key(name);
    openssl("req", "-new", "-key", path(`${name}.key`), "-subj", `/CN=${name}`, "-out", path(`${name}.csr`));
    writeFileSync(
      path(`${name}.ext`),
      `subjectAltName=DNS:${name}.bench,URI:spiffe://cluster.local/ns/default/sa/${name}\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    openssl(
      "x509",
      "-req",
      "-in",
      path(`${name}.csr`),
      "-CA",
      path("ca.pem"),
      "-CAkey",
      path("ca.key"),
      "-CAcreateserial",
      "-days",
      "2",
      "-sha256",
      "-extfile",
      path(`${name}.ext`),
      "-out",
      path(`${name}.pem`),
    );
    writeFileSync(
      path(`${name}.bundle`),
      readFileSync(path(`${name}.pem`), "utf8") + readFileSync(path(`${name}.key`), "utf8"),
    );
  }
  const side = (name) => ({
    certificate: path(`${name}.pem`),
    key: path(`${name}.key`),
    bundle: path(`${name}.bundle`),
  });
  return {
    authority: path("ca.pem"),
    client: side("client"),
    server: side("server"),
    serverName: "server.bench",
  };
}
