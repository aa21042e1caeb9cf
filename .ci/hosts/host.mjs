// Shared by the scripts of this folder: the conversation that each client has with the
// program, and the gateways between them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

export const [program] = process.argv.slice(2);
export const token = process.env.TOKEN;

// stdio returns the arguments that start the program over stdio, with an empty folder.
export function stdio() {
  return [
    "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "200ms",
    "--dir", mkdtempSync(join(tmpdir(), "files-")),
  ];
}

// installed returns the path of a file of an installed package.
export function installed(file) {
  return fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));
}

// within rejects if a promise is not settled after some seconds.
async function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${seconds} s`)), 1000 * seconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

let days = 0;

// ran lists the tools through a client, exports a day that nothing exported before,
// downloads it and checks the file. list returns the names of all tools; call runs one
// and returns its structured result. It prints a row of the matrix in docs/clients.md.
export async function ran(client, route, { list, call }) {
  const conversation = async () => {
    const tools = await list();
    for (const name of ["create_segment_export", "download_export"]) {
      assert(tools.includes(name), `the list of tools lacks ${name}: ${tools}`);
    }
    const first = Date.UTC(2026, 9, 1 + days++);
    const [start, end] = [first, first + 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10));
    const made = await call("create_segment_export", {
      segment_id: "everyone", type: "TYPE_EVENT", time_range: { start, end }, timezone: "Europe/Berlin",
    });
    assert.equal(made.reused, false, made.summary);
    let state = {};
    for (let calls = 0; calls < 5 && state.state !== "stored"; calls++) {
      state = await call("download_export", { operation_id: made.operation_id, wait_seconds: 5 });
    }
    assert.equal(state.state, "stored", state.summary);
    const rows = gunzipSync(readFileSync(state.path)).toString().split("\n").filter(Boolean);
    assert(rows.length > 0, `${state.path} has no rows`);
    assert.equal(rows.length, state.rows, `${state.path} has ${rows.length} rows, download_export says ${state.rows}`);
  };
  await within(60, "the conversation", conversation()).catch((error) => {
    throw new Error(`${client}, ${route}: ${error.message}`, { cause: error });
  });
  const { version } = JSON.parse(readFileSync(installed(`${client}/package.json`)));
  console.log(`| ${client} | ${version} | ${route} |`);
}

// structured returns the structured result of a tool, and fails if the call failed or if
// its text is another.
export function structured(result) {
  assert(!result.isError, result.content?.[0]?.text);
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent, "the two forms differ");
  return result.structuredContent;
}

// official connects a client of the official SDK and calls use with it.
export async function official(transport, use, client = new Client({ name: "hosts", version: "1.0.0" })) {
  await within(60, "initialize", client.connect(transport));
  try {
    await use({
      list: async () => (await client.listTools()).tools.map((t) => t.name),
      call: async (name, args) => structured(await client.callTool({ name, arguments: args })),
    });
  } finally {
    await within(30, "close", client.close());
  }
}

// overStdio runs a script of a package that speaks stdio, as a desktop host does, and
// calls use with a client that is connected to it. It returns the log of the script.
export async function overStdio(script, args, use, env = {}) {
  const transport = new StdioClientTransport({
    command: process.execPath, args: [installed(script), ...args], env, stderr: "pipe",
  });
  let log = "";
  transport.stderr.on("data", (data) => (log += data));
  await official(transport, use).catch((error) => {
    throw new Error(`${error.message}\n${log.slice(-4000)}`, { cause: error });
  });
  return log;
}

// overHTTP runs a script of a package that serves a port, and calls use with its address
// once it accepts connections. args returns the arguments for a port.
export async function overHTTP(script, args, use) {
  const port = await freePort();
  const child = spawn(process.execPath, [installed(script), ...args(port)], { stdio: ["ignore", "pipe", "pipe"] });
  process.on("exit", () => child.kill("SIGKILL"));
  const log = [];
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", (l) => log.push(l));
  const ended = new Promise((resolve) => child.on("error", resolve).on("close", resolve));
  try {
    const failed = ended.then((status) => Promise.reject(new Error(`${script} ended (${status})`)));
    failed.catch(() => {});
    await within(60, `${script} opens its port`, Promise.race([accepting(port), failed]));
    await use(`http://127.0.0.1:${port}`);
    child.kill("SIGTERM");
    await within(30, `${script} ends after SIGTERM`, ended);
  } catch (error) {
    throw new Error(`${error.message}\n${log.join("\n").slice(-4000)}`, { cause: error });
  } finally {
    child.kill("SIGKILL");
  }
}

// freePort returns a free port below those that the system gives to connections, so that
// none of them can take it before the gateway does. A folder reserves it among the scripts
// that run beside this one.
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const folder = join(tmpdir(), `port-${port}`);
    if (!mkdirSync(folder, { recursive: true })) continue;
    const free = await new Promise((resolve) => {
      const server = net.createServer().on("error", () => resolve(false));
      server.listen(port, () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

// accepting resolves once a connection to a port is accepted.
async function accepting(port) {
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1").on("error", () => resolve(false));
      socket.on("connect", () => resolve(socket.destroy()));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
