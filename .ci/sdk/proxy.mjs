// Follows a bulk export through a proxy that cuts every answer after SECONDS, as many
// proxies do after 60. Over /mcp the client reconnects and misses nothing. Over /sse
// this client does not send the id of the last event when it reconnects, so it must
// repeat a call that ran when the answer was cut.
// Usage: node proxy.mjs PROGRAM [SECONDS]
// Exits with a non-zero status if anything fails.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [program, seconds = "60"] = process.argv.slice(2);
assert(program, "usage: node proxy.mjs PROGRAM [SECONDS]");

let cuts = 0;
const proxy = (target) => http.createServer((request, response) => {
  const options = { method: request.method, headers: request.headers };
  const onward = http.request(new URL(request.url, target), options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
    answer.on("error", () => response.destroy());
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
  const cut = setTimeout(() => {
    cuts++;
    onward.destroy();
    response.destroy();
  }, 1000 * seconds);
  response.on("close", () => {
    clearTimeout(cut);
    onward.destroy();
  });
});

// follow exports eight days in 40 chunks over a transport, on which at most misses calls
// may be repeated.
async function follow(name, transport, misses) {
  const client = new Client({ name: "behind a proxy", version: "1.0.0" });
  client.onerror = () => {}; // reports each cut
  await client.connect(transport);
  let repeats = 0;
  const ask = (request) => client.callTool(request, undefined, { timeout: 25_000 });
  const call = async (tool, args) => {
    const r = await ask({ name: tool, arguments: args }).catch((error) => {
      if (++repeats > misses) throw error;
      return ask({ name: tool, arguments: args });
    });
    assert(!r.isError, `${name}: ${tool}: ${r.content?.[0]?.text}`);
    return r.structuredContent;
  };
  const started = await call("start_bulk_export", {
    segment_id: "everyone", type: "TYPE_EVENT", name: `by ${name}`, chunk: "PT4H48M",
    time_range: { start: "2026-09-01", end: "2026-09-09" },
  });
  assert.equal(started.chunks, 40);
  let announced = 0;
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, () => announced++);
  await client.subscribeResource({ uri: `fullstory-export://bulk/${started.bulk_id}` });
  const began = Date.now();
  const wait_seconds = Math.min(20, Math.floor(seconds / 3));
  let status;
  do {
    status = await call("get_bulk_export", { bulk_id: started.bulk_id, wait_seconds });
  } while (status.state === "running");
  const took = (Date.now() - began) / 1000;
  assert.equal(status.state, "complete", status.summary);
  assert(took > 1.3 * seconds, `${name}: the export ended after ${took} s, too early for the proxy to cut it`);
  // One change is announced for each tenth of the chunks; several may be announced at once.
  assert(misses || announced >= 7, `${name}: only ${announced} changes were announced`);
  await client.close();
  const size = `${status.chunks.stored} chunks in ${took.toFixed(0)} s`;
  console.log(`${name}: ${size}, ${announced} changes announced, ${repeats} calls repeated`);
}

const dir = mkdtempSync(join(tmpdir(), "proxy-"));
const server = spawn(program, [
  "serve", "--addr", "127.0.0.1:0", "--dir", dir, "--allow-host", "mcp.example.com",
  "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-slots", "4", "--sandbox-op-time", `${seconds / 6}s`,
], { stdio: ["ignore", "ignore", "pipe"] });
let front;
try {
  const target = await new Promise((resolve, reject) => {
    server.on("exit", (code) => reject(new Error(`serve ended with status ${code}`)));
    createInterface({ input: server.stderr }).on("line", (line) => {
      const found = line.match(/(http:\/\/[^ ]+)\/mcp/);
      if (found) resolve(found[1]);
    });
  });
  front = proxy(target).listen(0, "127.0.0.1");
  await new Promise((resolve) => front.on("listening", resolve));
  const base = `http://127.0.0.1:${front.address().port}`;
  await Promise.all([
    follow("mcp", new StreamableHTTPClientTransport(new URL("/mcp", base)), 0),
    follow("sse", new SSEClientTransport(new URL("/sse", base)), 5),
  ]);
  assert(cuts >= 2, `the proxy cut ${cuts} answers`);
  console.log(`the proxy cut ${cuts} answers after ${seconds} s`);
} finally {
  server.removeAllListeners("exit");
  server.kill("SIGKILL");
  front?.closeAllConnections();
  front?.close();
  rmSync(dir, { recursive: true, force: true });
}
