import { MeshError } from "@tulle/base";

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD"]);
/** What a page of another site may send without asking first (Fetch, "CORS-safelisted request-header"). */
const FORMS: ReadonlySet<string> = new Set([
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "text/plain",
]);

/**
 * Refuses what a web page of another site makes a browser send (CSRF): requests that say so (`Sec-Fetch-Site`,
 * `Origin`), and POSTs of the types that forms have. Our own pages are of the origin that they call. Throws `denied`
 * ACCESS_WEB_PAGE, `invalid` ACCESS_FORM.
 */
export function refuseWebPages(method: string, url: URL, headers: Headers): void {
  const site = headers.get("sec-fetch-site");
  const foreign = site !== null && site !== "same-origin" && site !== "none";
  // A link to a page of ours is fine; what it shows, another site's page cannot read.
  const navigates = SAFE.has(method) && headers.get("sec-fetch-mode") === "navigate";
  const origin = headers.get("origin");
  if ((foreign && !navigates) || (origin !== null && origin !== url.origin)) {
    throw new MeshError("denied", "ACCESS_WEB_PAGE", "pages of other sites may not call the control plane");
  }
  if (method !== "POST") return;
  const type = (headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (FORMS.has(type)) {
    throw new MeshError(
      "invalid",
      "ACCESS_FORM",
      `send JSON with content-type: application/json, not ${type}`,
    );
  }
}
