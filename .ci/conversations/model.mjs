// A model at the other end of the protocol, and what it reads.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

// Model makes calls and counts them, with the bytes of the text that it reads for them.
// The path of the folder dir counts as /exports, since its length differs by machine.
export class Model {
  calls = 0;
  bytes = 0;
  log = [];
  #client;
  #tools;
  #dir;

  constructor(client, { tools }, dir) {
    this.#client = client;
    this.#dir = dir;
    this.#tools = new Map(tools.map((t) => [t.name, t]));
  }

  // call calls a tool that must succeed, and returns its answer. The arguments must be
  // defined by the tool, since a model knows no others.
  async call(tool, args = {}) {
    const { text, failed, structured } = await this.#ask(tool, args);
    assert(!failed, `${tool} ${JSON.stringify(args)} fails: ${text}`);
    const answer = JSON.parse(text);
    assert.deepEqual(answer, structured, `${tool}: the two forms of the answer differ`);
    return answer;
  }

  // rejected calls a tool that must fail, and returns the text.
  async rejected(tool, args) {
    const { text, failed } = await this.#ask(tool, args);
    assert(failed, `${tool} ${JSON.stringify(args)} does not fail: ${text}`);
    return text;
  }

  // prompt returns the text of a prompt that the user chose.
  async prompt(name, args) {
    const { messages } = await this.#client.getPrompt({ name, arguments: args });
    const text = messages.map((m) => m.content.text).join("\n");
    this.#read(text);
    return text;
  }

  #read(text) {
    this.bytes += Buffer.byteLength(text.replaceAll(this.#dir, "/exports"));
  }

  // end ends the conversation.
  end() {
    return this.#client.close();
  }

  async #ask(tool, args) {
    const known = Object.keys(this.#tools.get(tool).inputSchema.properties);
    for (const name of Object.keys(args)) assert(known.includes(name), `${tool} defines no ${name}`);
    this.calls++;
    const r = await this.#client.callTool({ name: tool, arguments: args });
    const text = r.content[0].text;
    for (const block of r.content) this.#read(block.text ?? JSON.stringify(block));
    this.log.push(`${tool} ${JSON.stringify(args)}\n  ${text}`);
    return { text, failed: r.isError === true, structured: r.structuredContent };
  }
}

// notice returns the notice of an answer with a code. There must be one.
export function notice(answer, code) {
  const found = answer.warnings.find((w) => w.code === code);
  assert(found, `no ${code} in ${JSON.stringify(answer.warnings)}`);
  return found;
}

// rowsIn returns the rows of an NDJSON file, given by its path or content, as objects.
export function rowsIn(file) {
  const content = Buffer.isBuffer(file) ? file : readFileSync(file);
  return gunzipSync(content).toString().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
