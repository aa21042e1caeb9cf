// Shared by the scripts of this folder: starts the program under test, and finds Node 22.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// The suite and the Inspector need Node 22.19, which not every system has.
const [major, minor] = process.versions.node.split(".").map(Number);
const recent = major > 22 || (major === 22 && minor >= 19);
export const node = recent ? process.execPath : installed(`node-${process.platform}-${process.arch}/bin/node`);

// installed returns the path of a file of an installed package.
export function installed(file) {
  return fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));
}

// serving starts PROGRAM on a free port with an empty folder, calls use with the URL of
// /mcp, and stops the program with SIGTERM, as a service manager does. Flags after
// PROGRAM on the command line go to `serve`.
export async function serving(use) {
  const [program, ...flags] = process.argv.slice(2);
  if (!program) throw new Error("the path of the program is missing");
  const dir = mkdtempSync(join(tmpdir(), "clients-"));
  const args = [
    "serve", "--addr", "127.0.0.1:0", "--dir", dir, "--sandbox",
    "--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "200ms", ...flags,
  ];
  const server = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  process.on("exit", () => {
    server.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });
  const log = [];
  const ended = new Promise((resolve) => {
    server.on("error", (e) => resolve(e.message));
    server.on("exit", (code, signal) => resolve(signal ?? code));
  });
  const url = await new Promise((resolve, reject) => {
    ended.then((status) => reject(new Error(`serve ended (${status})\n${log.join("\n")}`)));
    createInterface({ input: server.stderr }).on("line", (line) => {
      log.push(line);
      const found = line.match(/http:\/\/[^ ]+\/mcp/);
      if (found) resolve(found[0]);
    });
  });
  await use(url);
  server.kill("SIGTERM");
  const late = setTimeout(() => server.kill("SIGKILL"), 10_000);
  const status = await ended;
  clearTimeout(late);
  if (status !== 0) throw new Error(`SIGTERM ends serve with ${status}, not 0\n${log.slice(-20).join("\n")}`);
}
