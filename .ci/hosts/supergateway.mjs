// Drives the program through supergateway: over stdio behind its HTTP, and `serve` behind
// its stdio. Usage: node supergateway.mjs PROGRAM [FLAG OF SERVE ...]
import assert from "node:assert/strict";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { serving } from "../clients/server.mjs";
import { official, overHTTP, overStdio, program, ran, stdio, token } from "./host.mjs";

const script = "supergateway/dist/index.js";
const by = (route) => (client) => ran("supergateway", route, client);

// behind runs the program over stdio behind a port of the gateway.
async function behind(flags, use) {
  // The gateway runs a line of a shell.
  const line = [program, ...stdio()].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  await overHTTP(script, (port) => ["--stdio", line, "--port", port, "--logLevel", "debug", ...flags], use);
}

// streamable has a conversation in a session and one of protocol 2026-07-28.
async function streamable(route, flags) {
  await behind(["--outputTransport", "streamableHttp", ...flags], async (base) => {
    const url = new URL("/mcp", base);
    await official(new StreamableHTTPClientTransport(url), by(route));
    const modern = new ModernClient({ name: "hosts", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
    await official(new ModernTransport(url), async (client) => {
      assert.equal(modern.getNegotiatedProtocolVersion(), "2026-07-28");
      await by(`${route}, protocol 2026-07-28`)(client);
    }, modern);
  });
}

if (!token) {
  await behind(["--outputTransport", "sse"], async (base) => {
    // The gateway sends the messages of all its clients to one process: both begin with
    // initialize, and their ids are equal.
    for (const route of ["its /sse in front of stdio", "its /sse in front of stdio, a second client"]) {
      await official(new SSEClientTransport(new URL("/sse", base)), by(route));
    }
  });
  await streamable("its /mcp in front of stdio", ["--stateful"]);
  await streamable("its /mcp in front of stdio, a process for each request", []);
}
const bearer = token ? ["--oauth2Bearer", token] : [];
await serving(async (url) => {
  await overStdio(script, ["--streamableHttp", url, ...bearer], by("its stdio in front of /mcp"));
  await overStdio(script, ["--sse", new URL("/sse", url).href, ...bearer], by("its stdio in front of /sse"));
});
