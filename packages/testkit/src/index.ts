export * from "./eventually.js";
export * from "./fake-clock.js";
