// Asks a built program over MCP for what the manifest of a bundle says of it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const answerTime = 20_000; // milliseconds until the program must have answered a request

// ask returns serverInfo, tools and prompts of a program. Each prompt has the names of its required arguments and a
// text with the placeholders of the manifest, such as ${arguments.segment}. It fails if the program does not answer.
export async function ask(program) {
  const dir = mkdtempSync(join(tmpdir(), "mcpb-ask-"));
  const server = spawn(program, [], { env: { FULLSTORY_EXPORT_DIR: dir }, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => server.on("close", resolve));
  const failed = new Promise((_, reject) => server.on("error", reject));
  let id = 0;
  const request = async (method, params) => {
    server.stdin.write(JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params }) + "\n");
    const timer = setTimeout(() => server.kill("SIGKILL"), answerTime);
    const { value, done } = await Promise.race([lines.next(), failed]);
    clearTimeout(timer);
    if (done) throw new Error(`${program} ended, or was ended after ${answerTime} ms, without an answer to ${method}`);
    const answer = JSON.parse(value);
    if (answer.id !== id || !answer.result) throw new Error(`${method} was answered ${value.slice(0, 500)}`);
    if (answer.result.nextCursor) throw new Error(`${method} has more than one page, which is not read`);
    return answer.result;
  };
  try {
    const { serverInfo } = await request("initialize", {
      protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "packing", version: "1" },
    });
    server.stdin.write(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }) + "\n");
    const { tools } = await request("tools/list", {});
    const prompts = [];
    for (const p of (await request("prompts/list", {})).prompts) {
      const names = (p.arguments ?? []).filter((a) => a.required).map((a) => a.name);
      const values = Object.fromEntries(names.map((n) => [n, `\${arguments.${n}}`]));
      const { messages } = await request("prompts/get", { name: p.name, arguments: values });
      prompts.push({
        name: p.name, description: p.description, arguments: names,
        text: messages.map((m) => m.content.text).join("\n"),
      });
    }
    return { serverInfo, tools: tools.map(({ name, description }) => ({ name, description })), prompts };
  } finally {
    server.stdin.end();
    const timer = setTimeout(() => server.kill("SIGKILL"), answerTime);
    await Promise.race([ended, failed]).catch(() => {}); // what failed has been thrown
    clearTimeout(timer);
    rmSync(dir, { recursive: true, force: true });
  }
}
