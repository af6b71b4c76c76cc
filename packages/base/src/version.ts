/** Tulle's version: one for all packages. A constant, because bundles have no package.json beside them. */
export const VERSION = "0.1.0";
