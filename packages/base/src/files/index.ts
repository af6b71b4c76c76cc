export * from "./watched-files.js";
