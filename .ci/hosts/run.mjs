// Runs every script of this folder, without and with a token, and compares what they ran
// with the matrix in docs/clients.md; --update writes it. Usage: node run.mjs PROGRAM [--update]
// Exits with a non-zero status if a script fails, hangs or leaves a process behind.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { node } from "../clients/server.mjs";

const [given, update] = process.argv.slice(2);
if (!given) throw new Error("usage: node run.mjs PROGRAM [--update]");
const program = resolve(given);
const here = fileURLToPath(new URL(".", import.meta.url));

// Everything that a script starts has this home folder, which also tells whose it is.
const home = mkdtempSync(join(tmpdir(), "hosts-"));
const groups = new Set();
const kill = (pid) => {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
};
process.on("exit", () => {
  for (const pid of groups) kill(-pid);
  rmSync(home, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const matrix = new Map(); // a row of a script, and whether it also ran with a token
const failures = [];

// run runs one script in a process group of its own, for at most 180 s.
async function run(script, token, flags) {
  const name = token ? `${script} with a token` : script;
  const began = Date.now();
  const child = spawn(node, [join(here, `${script}.mjs`), program, ...flags], {
    detached: true, stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HOME: home, TMPDIR: home, ...(token && { TOKEN: token }) },
  });
  groups.add(child.pid);
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill(-child.pid);
  }, 180_000);
  const status = await new Promise((done) => child.on("exit", (code, signal) => done(signal ?? code)));
  clearTimeout(timer);
  kill(-child.pid);
  groups.delete(child.pid);

  const rows = out.split("\n").filter((line) => line.startsWith("| "));
  for (const row of rows) matrix.set(row, Boolean(token) || (matrix.get(row) ?? false));
  if (status !== 0) failures.push(`${name}: ${late ? "not done after 180 s" : `ended with ${status}`}\n${err || out}`);
  console.log(`${name}: ${rows.length} conversations, ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

// leftBehind returns the processes that the scripts started and that still run, where the
// system has /proc.
function leftBehind() {
  const read = (file) => {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return ""; // ended, or of another user
    }
  };
  let pids = [];
  try {
    pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  } catch {
    return [];
  }
  return pids.filter((pid) => read(`/proc/${pid}/environ`).split("\0").includes(`HOME=${home}`))
    .map((pid) => ({ pid: Number(pid), line: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ") }));
}

// Two at once: most of a script's time is the start of its processes.
const callers = join(home, "callers.json");
const token = execFileSync(program, ["serve", "token", "hosts", "--callers", callers], {
  encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
}).trim();
const plain = ["supergateway", "mcp-remote", "fastmcp", "langchain", "ai-sdk"].map((script) => [script, "", []]);
const withToken = ["supergateway", "mcp-remote", "langchain", "ai-sdk"].map((s) => [s, token, ["--callers", callers]]);
const queue = [...plain, ...withToken];
const worker = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) await run(...next);
};
await Promise.all([worker(), worker()]);

for (let tries = 0; tries < 300 && leftBehind().length > 0; tries++) await new Promise((r) => setTimeout(r, 100));
for (const { pid, line } of leftBehind()) {
  failures.push(`still running after 30 s: ${line}`);
  kill(pid);
}

const page = join(here, "../../docs/clients.md");
const text = readFileSync(page, "utf8");
const head = ["| client | version | transport | also with a token |", "|---|---|---|---|"];
const lines = [...matrix].sort().map(([row, also]) => `${row} ${also ? "yes" : ""} |`);
const table = `<!-- clients -->\n${[...head, ...lines].join("\n")}\n<!-- /clients -->`;
const wanted = text.replace(/<!-- clients -->.*<!-- \/clients -->/s, () => table);
if (failures.length === 0 && wanted !== text) {
  if (update) writeFileSync(page, wanted);
  else failures.push(`docs/clients.md differs from what was run; node run.mjs PROGRAM --update writes:\n${table}`);
}
if (failures.length > 0) {
  console.error(`\nFailed:\n${failures.join("\n\n")}`);
  process.exit(1);
}
console.log(`${matrix.size} ways to reach the server, none left a process behind`);
