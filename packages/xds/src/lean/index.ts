export * from "./descriptors.js";
export * from "./file.js";
