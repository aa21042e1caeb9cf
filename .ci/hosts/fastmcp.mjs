// Drives the program through mcp-proxy. FastMCP for TypeScript has no client; mcp-proxy is
// the part of it that talks to a server over stdio, and serves it on a port.
// Usage: node fastmcp.mjs PROGRAM
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { official, overHTTP, program, ran, stdio } from "./host.mjs";

for (const [era, suffix] of [["legacy", ""], ["modern", ", protocol 2026-07-28"]]) {
  const args = (port) => ["--port", port, "--upstreamProtocol", era, "--", program, ...stdio()];
  await overHTTP("mcp-proxy/dist/bin/mcp-proxy.mjs", args, async (base) => {
    const by = (route) => (client) => ran("mcp-proxy", route + suffix, client);
    await official(new StreamableHTTPClientTransport(new URL("/mcp", base)), by("its /mcp in front of stdio"));
    await official(new SSEClientTransport(new URL("/sse", base)), by("its /sse in front of stdio"));
  });
}
