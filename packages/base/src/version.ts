/** Tulle's version: one for all packages. A constant, because bundles have no package.json beside them. */
export const VERSION = "0.1.0";

/** A control plane serves proxies of its own minor version and of so many before it (docs/upgrades.md). */
export const SUPPORTED_MINORS_BACK = 2;

/** How a proxy's version stands to its control plane's: `unknown` where either cannot be read. */
export type VersionSkew = "supported" | "too-old" | "newer" | "unknown";

/** Whether a control plane of one version serves a proxy of another. Patches do not count. */
export function versionSkew(controlPlane: string, proxy: string): VersionSkew {
  const [ofControl, ofProxy] = [minorOf(controlPlane), minorOf(proxy)];
  if (ofControl === undefined || ofProxy === undefined) return "unknown";
  if (ofProxy.major !== ofControl.major) return ofProxy.major < ofControl.major ? "too-old" : "newer";
  if (ofProxy.minor > ofControl.minor) return "newer";
  return ofControl.minor - ofProxy.minor > SUPPORTED_MINORS_BACK ? "too-old" : "supported";
}

function minorOf(version: string): { readonly major: number; readonly minor: number } | undefined {
  const [, major, minor] = /^v?(\d{1,6})\.(\d{1,6})(?:[.\-+]|$)/.exec(version) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}
