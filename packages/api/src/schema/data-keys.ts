/** Most bytes of one Secret or ConfigMap, as in Kubernetes. */
export const MAX_DATA_BYTES = 1_048_576;

/** Whether a Secret or a ConfigMap may have such a key. */
export const isDataKey = (key: string): boolean =>
  /^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== "." && key !== "..";

/** What keys are made of, for messages. */
export const DATA_KEY = "letters, digits, '-', '_', '.'";
