import type { Context, Handler } from "hono";

export type Method = "GET" | "PUT";

/** Path patterns of hono with a handler for each method; other methods are answered 405. First match wins. */
export type RouteTable = Readonly<
  Record<string, Partial<Record<Method, (context: Context) => Response | Promise<Response>>>>
>;

/** The handler of one path for all methods. HEAD is GET without its body. */
export function methodsHandler(methods: RouteTable[string]): Handler {
  return (context) => {
    const method = context.req.method === "HEAD" ? "GET" : context.req.method;
    const handler = method === "GET" || method === "PUT" ? methods[method] : undefined;
    if (handler !== undefined) return handler(context);
    const allowed = Object.keys(methods).join(", ");
    return context.text(`method ${context.req.method} not allowed: use ${allowed}`, 405, { allow: allowed });
  };
}
