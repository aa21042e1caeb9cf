// Runs the conformance suite of the protocol against the server: every scenario
// that needs no test tools. Usage: node conformance.mjs PROGRAM [FLAG OF SERVE ...]
// Exits with a non-zero status if a check fails that is not listed as untestable.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installed, node, serving } from "./server.mjs";

const sessions = [
  "server-initialize", "ping", "logging-set-level", "completion-complete", "tools-list", "prompts-list",
  "resources-list", "resources-subscribe", "resources-unsubscribe", "server-sse-multiple-streams",
  "server-sse-polling", "dns-rebinding-protection",
];
const stateless = [
  "server-stateless", "completion-complete", "tools-list", "prompts-list", "resources-list", "caching",
  "http-header-validation", "sep-2164-resource-not-found", "server-sse-multiple-streams", "dns-rebinding-protection",
  "input-required-result-missing-input-response", "input-required-result-unsupported-methods",
  "input-required-result-ignore-extra-params", "input-required-result-validate-input",
];
const runs = [
  { suite: "conformance-0.1", version: "2025-11-25", scenarios: sessions },
  { suite: "conformance-0.2", version: "2025-11-25", scenarios: [...sessions, "server-session-lifecycle"] },
  { suite: "conformance-0.2", version: "2026-07-28", scenarios: stateless },
];

// Checks that use a tool or a resource of tests, which the product does not have. Each
// must fail because that is missing, which its message says in these words, and for no
// other reason.
const tool = (name) => ["Not testable", `'${name}'`];
const resource = ['There is no resource "test://watched-resource".'];
const untestable = {
  "server-stateless": {
    "sep-2575-server-rejects-undeclared-capability": tool("test_missing_capability"),
    "sep-2575-missing-capability-http-400": tool("test_missing_capability"),
    "sep-2575-http-server-no-independent-requests-on-stream": tool("test_streaming_elicitation"),
    "sep-2575-server-no-log-without-loglevel": tool("test_logging_tool"),
  },
  "resources-subscribe": { "resources-subscribe": resource },
  "resources-unsubscribe": { "resources-unsubscribe": resource },
};

// This scenario only checks calls that are answered with a stream.
const mayIdle = "server-sse-polling";

// checks runs one scenario and returns what it checked.
async function checks(suite, version, scenario, url) {
  const out = mkdtempSync(join(tmpdir(), "conformance-"));
  try {
    const args = ["server", "--url", url, "--scenario", scenario, "--spec-version", version, "-o", out];
    const child = spawn(node, [installed(`${suite}/dist/index.js`), ...args], { timeout: 60_000 });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data));
    await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
    const [folder] = readdirSync(out);
    if (!folder) throw new Error(`${scenario} of ${suite} has no result:\n${text}`);
    return JSON.parse(readFileSync(join(out, folder, "checks.json")));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

// judged prints one line about a scenario and returns what is wrong with it.
function judged(label, scenario, found) {
  const of = (status) => found.filter((c) => c.status === status);
  const excuses = untestable[scenario] ?? {};
  const excused = (c) => excuses[c.id]?.every((words) => c.errorMessage?.includes(words));
  const wrong = of("FAILURE").filter((c) => !excused(c)).map((c) => `${c.id}: ${c.errorMessage}`);
  for (const id of Object.keys(excuses)) {
    if (!of("FAILURE").some((c) => c.id === id)) wrong.push(`${id}: listed as untestable but does not fail`);
  }
  const idle = found.every((c) => c.status === "INFO" || c.status === "SKIPPED");
  if (idle && scenario !== mayIdle) wrong.push("nothing was checked");

  const counts = [`${of("SUCCESS").length} passed`, `${wrong.length} failed`];
  const others = { untestable: of("FAILURE").filter(excused), warned: of("WARNING"), skipped: of("SKIPPED") };
  for (const [word, some] of Object.entries(others)) {
    if (some.length > 0) counts.push(`${some.length} ${word}`);
  }
  console.log(`${label} ${scenario}: ${counts.join(", ")}`);
  for (const c of others.warned) console.log(`  warned ${c.id}: ${c.errorMessage ?? c.details?.message}`);
  for (const w of wrong) console.log(`  FAILED ${w}`);
  return wrong;
}

let count = 0;
const failed = [];
await serving(async (url) => {
  for (const { suite, version, scenarios } of runs) {
    const label = `${suite} ${version}`;
    for (const scenario of scenarios) {
      const wrong = judged(label, scenario, await checks(suite, version, scenario, url));
      failed.push(...wrong.map((w) => `${label} ${scenario}: ${w}`));
      count++;
    }
  }
});
if (failed.length > 0) {
  console.error(`\nFailed checks:\n${failed.join("\n")}`);
  process.exit(1);
}
console.log(`${count} scenarios passed`);
