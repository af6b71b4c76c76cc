import { request } from "node:https";

/** The body of an answer over HTTPS, whatever its status and whoever gives it, as `curl -k` shows it. */
export function getInsecurely(url: string, token?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const outgoing = request(url, { rejectUnauthorized: false, agent: false, headers }, (answer) => {
      let body = "";
      answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
      answer.on("error", reject);
      answer.on("end", () => resolve(body));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** The root that a control plane tells everybody. Whoever needs to be sure compares its fingerprint. */
export async function publicRootOf(server: string): Promise<string> {
  const { rootCertificatePem } = JSON.parse(await getInsecurely(`${server}/tulle/v1/info`)) as {
    readonly rootCertificatePem: string;
  };
  return rootCertificatePem;
}
