// Drives `serve` through mcp-remote, which desktop hosts put in front of a remote server.
// Usage: node mcp-remote.mjs PROGRAM [FLAG OF SERVE ...]
import assert from "node:assert/strict";
import { serving } from "../clients/server.mjs";
import { overStdio, ran, token } from "./host.mjs";

// A host configures the header like this, because some mangle spaces in arguments.
const header = token ? ["--header", "Authorization:${AUTH_HEADER}"] : [];
const env = token ? { AUTH_HEADER: `Bearer ${token}` } : {};

await serving(async (url) => {
  const conversation = (route, args) =>
    overStdio("mcp-remote/dist/proxy.js", [...args, ...header], (c) => ran("mcp-remote", route, c), env);
  const sse = new URL("/sse", url).href;
  await conversation("its stdio in front of /mcp", [url]);
  const modern = "its stdio in front of /mcp, protocol 2026-07-28";
  assert.match(await conversation(modern, [url, "--protocol", "auto"]), /Remote server speaks MCP 2026-07-28/);
  await conversation("its stdio in front of /sse", [sse, "--transport", "sse-only"]);
  await conversation("its stdio in front of /sse, after a try of Streamable HTTP", [sse]);
});
