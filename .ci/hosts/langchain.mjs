// Drives the program with @langchain/mcp-adapters: its tools are called as an agent of
// LangChain calls them. Usage: node langchain.mjs PROGRAM [FLAG OF SERVE ...]
import assert from "node:assert/strict";
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { serving } from "../clients/server.mjs";
import { program, ran, stdio, token } from "./host.mjs";

async function conversation(route, server) {
  const client = new MultiServerMCPClient({ mcpServers: { fullstory: server } });
  try {
    const tools = await client.getTools();
    await ran("@langchain/mcp-adapters", route, {
      list: async () => tools.map((t) => t.name),
      call: async (name, args) => {
        const tool = tools.find((t) => t.name === name);
        const message = await tool.invoke({ type: "tool_call", id: "call-1", name, args });
        assert.equal(message.status, "success", message.content);
        const found = message.artifact.find((a) => a.type === "mcp_structured_content");
        assert(found, `${name} has no structured result: ${message.content}`);
        return found.data;
      },
    });
  } finally {
    await client.close();
  }
}

const headers = token ? { Authorization: `Bearer ${token}` } : {};
if (!token) await conversation("stdio", { command: program, args: stdio(), stderr: "ignore" });
await serving(async (url) => {
  await conversation("/mcp", { url, headers, automaticSSEFallback: false });
  await conversation("/sse", { transport: "sse", url: new URL("/sse", url).href, headers });
});
