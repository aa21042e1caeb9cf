// Drives the server with the official TypeScript client: one whole conversation
// over each transport. Usage: node conversation.mjs PROGRAM
// Exits with a non-zero status if anything fails.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { gunzipSync } from "node:zlib";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const program = process.argv[2];
assert(program, "usage: node conversation.mjs PROGRAM");

const tools = [
  "check_connection", "list_segments", "plan_time_chunks", "create_segment_export",
  "get_export_operation", "list_export_operations", "cancel_export_operation", "download_export",
  "start_bulk_export", "get_bulk_export", "list_bulk_exports", "control_bulk_export", "describe_export",
  "query_export", "list_syncs", "sync_export",
];

async function conversation(name, transport) {
  const client = new Client({ name: "conversation", version: "1.0.0" });
  await client.connect(transport);
  assert.match(client.getInstructions(), /Fullstory/);

  const listed = await client.listTools();
  assert.deepEqual(listed.tools.map((t) => t.name).sort(), [...tools].sort());
  for (const t of listed.tools) {
    assert(t.title && t.description && t.outputSchema, `${t.name} is not described`);
  }
  const call = async (tool, args = {}) => {
    const r = await client.callTool({ name: tool, arguments: args });
    assert(!r.isError, `${tool}: ${r.content?.[0]?.text}`);
    assert.deepEqual(JSON.parse(r.content[0].text), r.structuredContent, `${tool}: the two forms differ`);
    return r.structuredContent;
  };

  const connection = await call("check_connection");
  assert.equal(connection.ok, true, connection.problems.join("; "));
  const found = await call("list_segments", { query: "Checkout visitors" });
  assert.equal(found.segments.length, 1);

  const day = { start: "2026-10-25", end: "2026-10-26" };
  const plan = await call("plan_time_chunks", { time_range: day, chunk: "PT12H30M", timezone: "Europe/Berlin" });
  assert.equal(plan.count, 2, "the day on which clocks go back has 25 hours");

  const fetched = async (range) => {
    const made = await call("create_segment_export", {
      segment_id: found.segments[0].id, type: "TYPE_SESSIONS", time_range: range, segment_time_range: day,
      timezone: "Europe/Berlin",
    });
    let state;
    do {
      state = await call("download_export", { operation_id: made.operation_id, wait_seconds: 10 });
    } while (state.state === "waiting" || state.state === "downloading");
    assert.equal(state.state, "stored", state.summary);
    const operation = await call("get_export_operation", { operation_id: made.operation_id });
    assert.equal(operation.state, "COMPLETED");
    const rows = gunzipSync(readFileSync(state.path)).toString().split("\n").filter(Boolean);
    assert.equal(rows.length, state.rows, `${state.path} has ${rows.length} rows, download_export says ${state.rows}`);
    return rows;
  };
  const whole = await fetched(day);
  const parts = [];
  for (const chunk of plan.chunks) {
    parts.push(...(await fetched({ start: chunk.start, end: chunk.end })));
  }
  assert(whole.length > 0, "the sandbox has no rows for the day");
  assert.deepEqual(parts.sort(), whole.sort(), "the chunks differ from the whole");

  // The stored day gives the size of its chunks, and is not missing.
  const rows = { segment_id: found.segments[0].id, type: "TYPE_SESSIONS", timezone: "Europe/Berlin", time_range: day };
  const sized = await call("plan_time_chunks", { ...rows, target_rows: Math.ceil(whole.length / 4) });
  assert.equal(sized.count, 4, sized.summary);
  assert(sized.estimate.low < whole.length && whole.length < sized.estimate.high, JSON.stringify(sized.estimate));
  const missing = await call("plan_time_chunks", { ...rows, missing_from: "*" });
  assert.equal(missing.count, 0, missing.summary);

  await bulk(client, call, name, found.segments[0].id);

  const operations = await call("list_export_operations", {});
  assert(operations.operations.filter((o) => o.known).length >= 3);
  const wrong = await client.callTool({ name: "get_export_operation", arguments: { misspelt: 1 } });
  assert(wrong.isError && /operation_id/.test(wrong.content[0].text), "a wrong argument is not explained");

  const guides = await client.listResources();
  assert((await client.readResource({ uri: guides.resources[0].uri })).contents[0].text.length > 100);
  const prompts = await client.listPrompts();
  assert.equal(prompts.prompts.length, 5);
  const values = { segment: "everyone", start: "2026-10-01", end: "2026-10-02" };
  const prompt = await client.getPrompt({ name: "export_segment", arguments: values });
  assert.match(prompt.messages[0].content.text, /2026-10-01/);
  const ref = { type: "ref/prompt", name: "export_segment" };
  const completed = await client.complete({ ref, argument: { name: "segment", value: "every" } });
  assert.deepEqual(completed.completion.values, ["everyone"]);

  await client.close();
  console.log(`${name}: ${listed.tools.length} tools, ${whole.length} rows whole and in ${plan.count} chunks`);
}

// bulk exports three days in chunks of two hours, and checks that changes are announced
// and that the manifest has all files.
async function bulk(client, call, name, segment) {
  const range = { start: "2026-10-24", end: "2026-10-27" };
  const started = await call("start_bulk_export", {
    segment_id: segment, type: "TYPE_SESSIONS", time_range: range, timezone: "Europe/Berlin", chunk: "PT2H",
    name: `by ${name}`,
  });
  assert.equal(started.chunks, 37, "the three days have 73 hours");
  const uri = `fullstory-export://bulk/${started.bulk_id}`;
  let announced = 0;
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => {
    assert.equal(n.params.uri, uri);
    announced++;
  });
  await client.subscribeResource({ uri });
  let status;
  let calls = 0;
  do {
    status = await call("get_bulk_export", { bulk_id: started.bulk_id, wait_seconds: 20 });
  } while (status.state === "running" && ++calls < 5);
  assert.equal(status.state, "complete", status.summary);
  assert.equal(status.chunks.stored, 37);
  for (let i = 0; announced === 0 && i < 50; i++) await new Promise((r) => setTimeout(r, 100));
  assert(announced > 0, "no change was announced");
  const manifest = JSON.parse((await client.readResource({ uri: `${uri}/manifest` })).contents[0].text);
  assert.equal(manifest.files.length, 37);
  assert.equal(manifest.files.reduce((n, f) => n + f.rows, 0), status.rows);
  const size = `${status.chunks.stored} chunks, ${status.rows} rows`;
  console.log(`${name}: a bulk export of ${size}, ${announced} changes announced`);
}

const dir = mkdtempSync(join(tmpdir(), "conversation-"));
const clock = ["--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "200ms", "--dir", dir];
let server;
try {
  await conversation("stdio", new StdioClientTransport({ command: program, args: clock, stderr: "ignore" }));

  server = spawn(program, ["serve", "--addr", "127.0.0.1:0", ...clock], { stdio: ["ignore", "ignore", "pipe"] });
  const url = await new Promise((resolve, reject) => {
    server.on("exit", (code) => reject(new Error(`serve ended with status ${code}`)));
    createInterface({ input: server.stderr }).on("line", (line) => {
      const found = line.match(/http:\/\/[^ ]+\/mcp/);
      if (found) resolve(new URL(found[0]));
    });
  });
  await conversation("/mcp", new StreamableHTTPClientTransport(url));
  await conversation("/sse", new SSEClientTransport(new URL("/sse", url)));

  const ended = new Promise((resolve) => server.removeAllListeners("exit").on("exit", resolve));
  const began = Date.now();
  server.kill("SIGTERM");
  assert.equal(await ended, 0, "SIGTERM does not end serve with status 0");
  assert(Date.now() - began < 10_000, "SIGTERM takes 10 s or more");
} finally {
  server?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
