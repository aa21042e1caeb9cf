// Holds the conversations of this folder with the program under test, over the protocol:
// each with the fewest calls that a model needs who knows nothing but the definitions
// of the tools and their answers, and within a budget of bytes for those answers.
// Usage: node run.mjs PROGRAM [NAME...]; -v prints what was said.
// Exits with a non-zero status if a conversation takes another number of calls, reads
// more, or ends with other facts.
import assert from "node:assert/strict";
import { World } from "./world.mjs";

const all = [
  "same-again", "file-gone", "october", "after-all", "not-ours",
  "throttled", "by-size", "people", "found", "low-role", "looked", "asked",
];
const [program, ...rest] = process.argv.slice(2);
assert(program, "usage: node run.mjs PROGRAM [NAME...] [-v]");
const verbose = rest.includes("-v");
const chosen = rest.filter((r) => r !== "-v");

// A conversation that has this part of its budget left has an outdated one.
const slack = 0.15;

const limit = 90_000; // milliseconds for all of them

// hold holds a conversation, and returns whether it is as it should be.
async function hold(name) {
  const { default: conversation } = await import(`./${name}.mjs`);
  const world = new World(program);
  const began = Date.now();
  let model;
  try {
    const before = await conversation.before(world);
    model = await world.model(conversation.http);
    await conversation.hold(model, world, before);
    assert.equal(model.calls, conversation.calls, "the number of calls");
    const { bytes } = conversation;
    const read = `${model.bytes} of ${bytes} bytes`;
    assert(model.bytes <= bytes, `the answers are too long: ${read}`);
    assert(model.bytes >= bytes * (1 - slack), `the answers became shorter; lower the budget: ${read}`);
    const took = ((Date.now() - began) / 1000).toFixed(1);
    console.log(`${name}: ${model.calls} calls, ${read}, ${took} s: ${conversation.words}`);
    return true;
  } catch (e) {
    console.error(`${name}: FAILED: ${e.stack}\n${verbose ? "" : (model?.log.join("\n") ?? "")}`);
    return false;
  } finally {
    if (verbose && model) console.log(model.log.join("\n"));
    await world.end();
  }
}

setTimeout(() => {
  console.error(`the conversations take more than ${limit / 1000} s`);
  process.exit(1);
}, limit).unref();
let failed = 0;
for (const name of chosen.length > 0 ? chosen : all) failed += (await hold(name)) ? 0 : 1;
process.exitCode = failed > 0 ? 1 : 0;
