// Drives the program with the MCP client of the AI SDK: a model that asks for given tools
// makes generateText call them. Usage: node ai-sdk.mjs PROGRAM [FLAG OF SERVE ...]
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { generateText } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { serving } from "../clients/server.mjs";
import { program, ran, stdio, structured, token } from "./host.mjs";

const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };

// asks returns a model that asks for one call of a tool.
function asks(toolName, args) {
  const input = JSON.stringify(args);
  const content = [{ type: "tool-call", toolCallId: "call-1", toolName, input }];
  const answer = { content, finishReason: { unified: "tool-calls" }, usage, warnings: [] };
  return new MockLanguageModelV4({ doGenerate: async () => answer });
}

async function conversation(route, transport) {
  const client = await createMCPClient({ transport });
  try {
    const tools = await client.tools();
    const { protocolVersion } = client.initializeResult;
    await ran("@ai-sdk/mcp", `${route}, protocol ${protocolVersion}`, {
      list: async () => Object.keys(tools),
      call: async (name, args) => {
        const { content } = await generateText({ model: asks(name, args), tools, prompt: "Export the day." });
        const [result] = content.filter((part) => part.type === "tool-result");
        if (!result) throw new Error(`${name} has no result: ${JSON.stringify(content)}`);
        return structured(result.output);
      },
    });
  } finally {
    await client.close();
  }
}

const headers = token ? { Authorization: `Bearer ${token}` } : {};
if (!token) {
  const server = { command: program, args: stdio(), stderr: "ignore" };
  await conversation("stdio", new Experimental_StdioMCPTransport(server));
}
await serving(async (url) => {
  await conversation("/mcp", { type: "http", url, headers });
  await conversation("/sse", { type: "sse", url: new URL("/sse", url).href, headers });
});
