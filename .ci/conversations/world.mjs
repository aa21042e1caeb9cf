// The world of one conversation: a simulated Fullstory, the program under test beside
// it, and a folder for its files. All of it ends with `end`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Model } from "./model.mjs";

// The official client is installed in .ci/sdk.
const sdk = createRequire(new URL("../sdk/package.json", import.meta.url));
const { Client } = sdk("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = sdk("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = sdk("@modelcontextprotocol/sdk/client/streamableHttp.js");

const now = "2026-11-05T12:00:00Z";
const architect = "na1.sandbox-architect/ARCH";

// World is what a conversation happens in.
export class World {
  #program;
  #ends = [];
  #args;
  #env;
  #served; // URL of /mcp

  constructor(program) {
    this.#program = program;
    this.dir = mkdtempSync(join(tmpdir(), "conversations-"));
    this.#env = { PATH: process.env.PATH, HOME: this.dir };
  }

  // start prepares the program with a simulated Fullstory of its own, whose clock shows the
  // instant `now`, and with flags of the program.
  start(...flags) {
    this.#args = ["--dir", this.dir, "--sandbox", "--sandbox-now", now, "--sandbox-op-time", "200ms", ...flags];
  }

  // startApart prepares the program with a simulated Fullstory that other clients use too,
  // at `api`. Its clock is that of this machine. The program's key is that of an architect
  // unless level is "standard".
  async startApart(level = "architect") {
    const args = ["sandbox", "--addr", "127.0.0.1:0", "--op-time", "200ms", "--density", "100"];
    this.api = await this.#spawn(args, /http:\/\/127\.0\.0\.1:\d+/);
    this.reach(this.api);
    this.#env.FULLSTORY_API_KEY = level === "standard" ? "na1.sandbox-standard/STND" : architect;
  }

  // reach has the program use another address of the API.
  reach(url) {
    this.#args = ["--dir", this.dir, "--api-url", url];
  }

  // atEnd has end call a function.
  atEnd(f) {
    this.#ends.push(f);
  }

  // model starts a conversation: over stdio with a process of its own, or over Streamable
  // HTTP with a server that all models of this world share.
  async model(http = false) {
    const client = new Client({ name: "conversations", version: "1.0.0" });
    await client.connect(http ? await this.#overHTTP() : this.#overStdio());
    this.atEnd(() => client.close());
    return new Model(client, await client.listTools(), this.dir);
  }

  #overStdio() {
    return new StdioClientTransport({
      command: this.#program, args: this.#args, env: this.#env, stderr: "ignore",
    });
  }

  async #overHTTP() {
    const args = ["serve", "--addr", "127.0.0.1:0", ...this.#args];
    this.#served ??= await this.#spawn(args, /http:\/\/[^ ]+\/mcp/);
    return new StreamableHTTPClientTransport(new URL(this.#served));
  }

  // fullstory sends a request to the simulated Fullstory of startApart, as another client
  // with the key of an architect does: a POST if there is a body.
  async fullstory(path, body) {
    const headers = { Authorization: `Basic ${architect}`, "Content-Type": "application/json" };
    const request = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
    const answer = await fetch(this.api + path, request);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  // #spawn starts the program and returns the first text of its output that matches.
  async #spawn(args, pattern) {
    const child = spawn(this.#program, args, { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "exit");
    process.on("exit", () => child.kill("SIGKILL"));
    this.#ends.push(async () => {
      child.kill("SIGTERM");
      await ended;
    });
    return new Promise((resolve, reject) => {
      ended.then(([code]) => reject(new Error(`${args[0]} ended with status ${code}`)));
      for (const output of [child.stdout, child.stderr]) {
        createInterface({ input: output }).on("line", (line) => {
          const found = line.match(pattern);
          if (found) resolve(found[0]);
        });
      }
    });
  }

  // end stops what was started, last first, and removes the files.
  async end() {
    for (const end of this.#ends.reverse()) await end();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
