// Asks the user before what costs much, with the official TypeScript client over each transport.
// Usage: node consent.mjs PROGRAM
// Exits with a non-zero status if anything fails.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const program = process.argv[2];
assert(program, "usage: node consent.mjs PROGRAM");

// consent starts seven chunks and cancels them, with a client that asks or one that cannot.
async function consent(name, transport, asks) {
  const client = new Client({ name: "consent", version: "1.0.0" }, { capabilities: asks ? { elicitation: {} } : {} });
  const questions = [];
  let answer;
  if (asks) {
    client.setRequestHandler(ElicitRequestSchema, (request) => {
      questions.push(request.params.message);
      if (answer === "broken") throw new Error("the user cannot be asked");
      return answer === "accept" ? { action: "accept", content: {} } : { action: answer };
    });
  }
  await client.connect(transport);
  const call = async (tool, args, said) => {
    answer = said;
    const r = await client.callTool({ name: tool, arguments: args });
    return { failed: r.isError === true, text: r.content[0].text };
  };
  const week = {
    segment_id: "everyone", type: "TYPE_EVENT", time_range: { start: "2026-10-05", end: "2026-10-12" }, name,
  };
  const token = (text) => text.match(/`confirm` "([^"]+)"/)?.[1];
  const nothing = async () => {
    const listed = await client.callTool({ name: "get_bulk_export", arguments: { bulk_id: name } });
    assert(listed.isError, `${name} was started without consent`);
  };

  let r;
  if (asks) {
    for (const [said, says] of [["decline", /declined/], ["cancel", /closed the question/], ["broken", /did not answer/]]) {
      r = await call("start_bulk_export", week, said);
      assert(r.failed && /^Nothing was started/.test(r.text) && says.test(r.text), `${said}: ${r.text}`);
      await nothing();
    }
    assert.equal(questions.length, 3, questions.join("\n"));
    r = await call("start_bulk_export", week, "accept");
  } else {
    r = await call("start_bulk_export", week);
    assert(r.failed && token(r.text), r.text);
    await nothing();
    r = await call("start_bulk_export", { ...week, confirm: token(r.text) });
  }
  assert(!r.failed, r.text);
  const cancel = { bulk_id: name, action: "cancel" };
  r = await call("control_bulk_export", cancel, "decline");
  assert(r.failed, r.text);
  const status = await client.callTool({ name: "get_bulk_export", arguments: { bulk_id: name } });
  assert.equal(status.structuredContent.state, "running");
  r = await call("control_bulk_export", asks ? cancel : { ...cancel, confirm: token(r.text) }, "accept");
  assert(!r.failed && JSON.parse(r.text).state === "cancelled", r.text);
  await client.close();
  console.log(`${name}: ${asks ? questions.length + " questions" : "tokens"}`);
}

const dir = mkdtempSync(join(tmpdir(), "consent-"));
const clock = [
  "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "1h", "--dir", dir, "--confirm-chunks", "3",
];
let server;
try {
  for (const asks of [true, false]) {
    const stdio = new StdioClientTransport({ command: program, args: clock, stderr: "ignore" });
    await consent(`stdio-${asks}`, stdio, asks);
  }
  server = spawn(program, ["serve", "--addr", "127.0.0.1:0", ...clock], { stdio: ["ignore", "ignore", "pipe"] });
  const url = await new Promise((resolve, reject) => {
    server.on("exit", (code) => reject(new Error(`serve ended with status ${code}`)));
    createInterface({ input: server.stderr }).on("line", (line) => {
      const found = line.match(/http:\/\/[^ ]+\/mcp/);
      if (found) resolve(new URL(found[0]));
    });
  });
  server.removeAllListeners("exit");
  for (const asks of [true, false]) {
    await consent(`mcp-${asks}`, new StreamableHTTPClientTransport(url), asks);
    await consent(`sse-${asks}`, new SSEClientTransport(new URL("/sse", url)), asks);
  }
} finally {
  server?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
