// Drives the server with the official Inspector, one process a call: one whole
// conversation over each transport. Usage: node inspector.mjs PROGRAM [FLAG OF SERVE ...]
// TOKEN may have a bearer token for the calls. Exits with a non-zero status if anything fails.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { installed, node, serving } from "./server.mjs";

const cli = installed("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
const toolError = 5;

// The Inspector stores its list of servers in the home folder.
const home = mkdtempSync(join(tmpdir(), "inspector-"));
let processes = 0;

// inspect runs one method and returns its result. It fails if the exit status is not the
// expected one.
async function inspect(target, method, options = [], expected = 0) {
  processes++;
  const args = [cli, "--cli", ...target, "--method", method, "--format", "json", "--quiet", ...options];
  if (process.env.TOKEN) args.push("--header", `Authorization: Bearer ${process.env.TOKEN}`);
  const ended = await promisify(execFile)(node, args, {
    env: { ...process.env, HOME: home }, timeout: 60_000, maxBuffer: 2 ** 24,
  }).catch((e) => e);
  const status = ended instanceof Error ? (ended.code ?? ended.signal) : 0;
  assert.equal(status, expected, `${target.join(" ")} ${method} ${options.join(" ")}\n${ended.stdout}${ended.stderr}`);
  return JSON.parse(ended.stdout).result;
}

async function conversation(name, target) {
  const began = processes;
  // With --strict a schema that some host cannot use ends it with status 6.
  const { tools } = await inspect(target, "tools/list", ["--strict"]);
  assert.equal(tools.length, 16);
  for (const t of tools) assert(t.title && t.description && t.outputSchema, `${t.name} is not described`);
  const call = async (tool, args = {}) => {
    const r = await inspect(target, "tools/call", ["--tool-name", tool, "--tool-args-json", JSON.stringify(args)]);
    assert.deepEqual(JSON.parse(r.content[0].text), r.structuredContent, `${tool}: the two forms differ`);
    return r.structuredContent;
  };

  const connection = await call("check_connection");
  assert.equal(connection.ok, true, connection.problems.join("; "));
  // The Inspector converts an argument given as key=value to the type in the schema.
  const query = ["--tool-name", "list_segments", "--tool-arg", "query=Checkout visitors", "limit=5"];
  const found = (await inspect(target, "tools/call", query)).structuredContent;
  assert.equal(found.segments.length, 1);
  const segment = found.segments[0].id;

  const day = { start: "2026-10-25", end: "2026-10-26" };
  const plan = await call("plan_time_chunks", { time_range: day, chunk: "PT12H30M", timezone: "Europe/Berlin" });
  assert.equal(plan.count, 2, "the day on which clocks go back has 25 hours");
  const whole = await fetched(call, segment, day, day);
  const parts = [];
  for (const { start, end } of plan.chunks) parts.push(...(await fetched(call, segment, { start, end }, day)));
  assert(whole.length > 0, "the sandbox has no rows for the day");
  assert.deepEqual(parts.sort(), whole.sort(), "the chunks differ from the whole");
  const chunks = await bulk(target, call, name, segment);

  const operations = await call("list_export_operations");
  assert(operations.operations.filter((o) => o.known).length >= 3);
  const misspelt = ["--tool-name", "get_export_operation", "--tool-args-json", '{"misspelt":1}'];
  const wrong = await inspect(target, "tools/call", misspelt, toolError);
  assert(wrong.isError && /operation_id/.test(wrong.content[0].text), "a wrong argument is not explained");

  const { resources } = await inspect(target, "resources/list");
  const guide = await inspect(target, "resources/read", ["--uri", resources[0].uri]);
  assert(guide.contents[0].text.length > 100, "a guide is empty");
  const { prompts } = await inspect(target, "prompts/list");
  assert.equal(prompts.length, 5);
  const values = ["segment=everyone", "start=2026-10-01", "end=2026-10-02"];
  const prompt = await inspect(target, "prompts/get", ["--prompt-name", "export_segment", "--prompt-args", ...values]);
  assert.match(prompt.messages[0].content.text, /2026-10-01/);
  const rows = `${whole.length} rows whole and in ${plan.count} chunks`;
  console.log(`${name}: ${rows}, ${chunks} chunks in bulk, ${processes - began} processes`);
}

// fetched exports a range and returns the rows of the stored file.
async function fetched(call, segment, range, day) {
  const made = await call("create_segment_export", {
    segment_id: segment, type: "TYPE_SESSIONS", time_range: range, segment_time_range: day, timezone: "Europe/Berlin",
  });
  let state;
  do {
    state = await call("download_export", { operation_id: made.operation_id, wait_seconds: 10 });
  } while (state.state === "waiting" || state.state === "downloading");
  assert.equal(state.state, "stored", state.summary);
  const rows = gunzipSync(readFileSync(state.path)).toString().split("\n").filter(Boolean);
  assert.equal(rows.length, state.rows, `${state.path} has ${rows.length} rows, download_export says ${state.rows}`);
  return rows;
}

// bulk exports three days in chunks of two hours and returns the number of files. The
// Inspector cannot stay subscribed: the SDK clients check the announcements.
async function bulk(target, call, name, segment) {
  const started = await call("start_bulk_export", {
    segment_id: segment, type: "TYPE_SESSIONS", time_range: { start: "2026-10-24", end: "2026-10-27" },
    timezone: "Europe/Berlin", chunk: "PT2H", name: `by ${name}`,
  });
  let status;
  let calls = 0;
  do {
    status = await call("get_bulk_export", { bulk_id: started.bulk_id, wait_seconds: 20 });
  } while (status.state === "running" && ++calls < 5);
  assert.equal(status.state, "complete", status.summary);
  assert.equal(status.chunks.stored, 37, "the three days have 73 hours");
  const uri = `fullstory-export://bulk/${started.bulk_id}/manifest`;
  const manifest = JSON.parse((await inspect(target, "resources/read", ["--uri", uri])).contents[0].text);
  assert.equal(manifest.files.reduce((n, f) => n + f.rows, 0), status.rows);
  return manifest.files.length;
}

try {
  await serving(async (url) => {
    const http = ["--transport", "http", "--server-url", url];
    await conversation("/mcp", http);
    await conversation("/mcp of 2026-07-28", [...http, "--protocol-era", "modern"]);
    await conversation("/sse", ["--transport", "sse", "--server-url", new URL("/sse", url).href]);
  });
} finally {
  rmSync(home, { recursive: true, force: true });
}
