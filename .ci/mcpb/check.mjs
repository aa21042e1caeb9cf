// Packs a built program into bundles, and uses the one for this machine as a host does.
// Usage: node check.mjs PROGRAM, after npm ci --ignore-scripts in .ci/sdk and packaging/mcpb; needs Go.
// Exits with a non-zero status if anything fails.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { release, tagOf } from "../../packaging/mcpb/release.mjs";
import { Host, mcpb } from "./host.mjs";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const program = process.argv[2] && resolve(process.argv[2]);
assert(program, "usage: node check.mjs PROGRAM");

// The version of the bundles: that of the tag from which the program was built, or any.
const version = tagOf(JSON.parse(execFileSync(program, ["version", "--json"])).version) ?? "0.0.1";
const own = process.arch === "arm64" ? "linux-arm64" : "linux";
const limit = 30_000; // milliseconds from unpacking to the first file
const deadline = 180_000; // milliseconds for all of it

const work = realpathSync(mkdtempSync(join(tmpdir(), "mcpb-")));

// pack packs a program for this machine, and a file in place of the programs for others, into a folder. It returns the
// names of the bundles, and what pack.mjs said.
async function pack(program, folder, zone) {
  const other = join(work, "other");
  writeFileSync(other, "a program of another system");
  const others = ["macos", "windows", "linux", "linux-arm64"].filter((k) => k !== own).map((k) => `${k}=${other}`);
  const args = [here("../../packaging/mcpb/pack.mjs"), `v${version}`, folder, `licences=${other}`, `${own}=${program}`, ...others];
  const { stdout: said } = await run(process.execPath, args, { env: { ...process.env, TZ: zone } });
  const names = readdirSync(folder);
  assert.equal(names.length, 4);
  for (const name of names) {
    const content = readFileSync(join(folder, name));
    const sum = createHash("sha256").update(content).digest("hex");
    assert(said.includes(`${sum}  ${name}  ${content.length} bytes\n`), `pack.mjs says otherwise of ${name}: ${said}`);
  }
  return { names, said };
}

// packed packs the program, and returns the paths of the bundles.
async function packed() {
  const folder = join(work, "bundles");
  const { names, said } = await pack(program, folder);
  console.log(`packed: ${said.split("\n").find((l) => l.includes(`-${own}.mcpb`))}`);
  return names.map((n) => join(folder, n));
}

// checkSame packs a program twice, in zones with another date, and compares the bytes. It is a script, which starts the
// program, because that takes longer to compress.
async function checkSame() {
  const script = join(work, "script");
  writeFileSync(script, `#!/bin/sh\nexec "${program}"\n`, { mode: 0o755 });
  const [first, second] = [join(work, "first"), join(work, "second")];
  const { names } = await pack(script, first, "Pacific/Kiritimati");
  utimesSync(script, 1e9, 1e9);
  await pack(script, second, "Pacific/Pago_Pago");
  for (const name of names) {
    assert(readFileSync(join(first, name)).equals(readFileSync(join(second, name))), `${name} has other bytes`);
  }
  console.log("the same bytes when packed again");
}

// unpacked unpacks a bundle with mcpb, and returns its folder.
async function unpacked(bundle, folder) {
  await run(process.execPath, [mcpb, "unpack", bundle, folder]);
  await run(process.execPath, [mcpb, "validate", join(folder, "manifest.json")]);
  return folder;
}

// checkManifest checks that of a bundle by itself: its file, its form and its variables.
function checkManifest(folder, { platform, suffix = "" }) {
  const said = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  assert.equal(said.manifest_version, "0.4");
  assert.equal(said.version, version);
  assert.deepEqual(said.compatibility.platforms, [platform]);
  assert.equal(said.server.entry_point, `server/fullstory-export-mcp${suffix}`);
  assert.equal(said.server.mcp_config.command, `\${__dirname}/${said.server.entry_point}`);
  assert(statSync(join(folder, said.server.entry_point)).mode & 0o100, "the program is not executable");
  const used = Object.values(said.server.mcp_config.env).join().match(/(?<=\$\{user_config\.)\w+/g);
  assert.deepEqual(used.sort(), Object.keys(said.user_config).sort(), "the form has fields that are not used");
  assert(said.user_config.api_key.sensitive, "the key is shown");
  for (const [name, field] of Object.entries(said.user_config)) {
    assert(!field.required && field.default !== undefined, `${name}: hosts leave a placeholder without a default`);
  }
  const documented = readFileSync(here("../../docs/commands.md"), "utf8");
  for (const name of Object.keys(said.server.mcp_config.env)) {
    const known = ["FULLSTORY_API_KEY", "FULLSTORY_EXPORT_BUNDLE"].includes(name) || documented.includes(`\`${name}\``);
    assert(known, `the program has no variable ${name}`);
  }
  assert(existsSync(join(folder, said.icon)) && existsSync(join(folder, "LICENSE")));
  assert(existsSync(join(folder, "THIRD_PARTY_LICENCES.txt")), "the licences of the modules are missing");
}

// checkLists compares the manifest with what the program offers.
async function checkLists(client, manifest) {
  const { tools } = await client.listTools();
  assert.deepEqual(manifest.tools, tools.map((t) => ({ name: t.name, description: t.description })));
  const { prompts } = await client.listPrompts();
  assert.deepEqual(manifest.prompts.map((p) => p.name), prompts.map((p) => p.name));
  for (const [i, p] of prompts.entries()) {
    const { name, description, arguments: names, text } = manifest.prompts[i];
    assert.equal(description, p.description);
    assert.deepEqual(names, p.arguments.filter((a) => a.required).map((a) => a.name), name);
    for (const a of names) assert(text.includes(`\${arguments.${a}}`), `the text of ${name} lacks ${a}`);
  }
}

async function call(client, name, args = {}) {
  const r = await client.callTool({ name, arguments: args });
  assert(!r.isError, `${name}: ${r.content?.[0]?.text}`);
  return r.structuredContent;
}

// checkWithoutKey has a form in which nothing, or next to nothing, was entered. The first call says what to do.
async function checkWithoutKey(host) {
  const all = host.manifest.tools.length;
  const forms = {
    "nothing entered": await host.configuration({}),
    "no form at all": host.untouched(),
    "empty texts": await host.configuration({ api_key: "", timezone: "" }),
    "undefined": await host.configuration({ api_key: undefined, timezone: undefined, sandbox: undefined, read_only: undefined }),
    "null": await host.configuration({ api_key: null, timezone: null, sandbox: null, read_only: null }),
    "switches off": await host.configuration({ sandbox: false, read_only: false }),
  };
  assert.match(forms["no form at all"].env.FULLSTORY_API_KEY, /^\$\{user_config/, "the placeholder is not left in place");
  for (const [name, form] of Object.entries(forms)) {
    await host.with(form, async (client) => {
      assert.equal((await client.listTools()).tools.length, all, `${name}: tools are missing`);
      const r = await client.callTool({ name: "check_connection", arguments: {} });
      const { text } = r.content[0];
      assert(r.isError, `${name}: ${text}`);
      for (const way of ["settings of this extension", '"Try without a key"', `${host.bundle}/server/fullstory-export-mcp login`]) {
        assert(text.includes(way), `${name}: ${way} is missing in: ${text}`);
      }
      assert.equal(text.match(/\.(\s|$)/g).length, 2, `${name}: not two sentences: ${text}`);
    });
  }
  console.log(`without a key: ${Object.keys(forms).length} forms, each with ${all} tools and the way to a key`);
}

// firstFile resolves when a folder has a file of an export, with the milliseconds since began.
async function firstFile(folder, began) {
  while (!(existsSync(folder) && readdirSync(folder).some((n) => n.endsWith(".ndjson.gz")))) {
    await new Promise((r) => setTimeout(r, 20));
  }
  return Date.now() - began;
}

// checkSandbox exports two days of simulated data into the chosen folder, and reads the files. began is when unpacking
// began.
async function checkSandbox(host, began) {
  const folder = join(work, "chosen folder", "exports");
  const form = await host.configuration({ sandbox: true, folder, timezone: "Europe/Berlin" });
  await host.with(form, async (client) => {
    const connection = await call(client, "check_connection");
    assert(connection.ok && connection.sandbox && connection.export_dir === folder, JSON.stringify(connection));
    assert.match(connection.summary, /simulated/);
    const request = {
      segment_id: "everyone", type: "TYPE_EVENT", name: "two-days",
      time_range: { start: "2026-10-01", end: "2026-10-03" },
    };
    const plan = await call(client, "start_bulk_export", { ...request, dry_run: true });
    assert.equal(plan.chunks, 2, plan.summary);
    const first = firstFile(join(folder, "two-days"), began);
    const started = await call(client, "start_bulk_export", request);
    let status;
    for (let calls = 0; calls < 3 && status?.state !== "complete"; calls++) {
      status = await call(client, "get_bulk_export", { bulk_id: started.bulk_id, wait_seconds: 15 });
    }
    assert.equal(status.state, "complete", status.summary);
    const took = await first;
    assert(took < limit, `the first file came after ${took} ms`);
    const manifest = JSON.parse(readFileSync(join(started.folder, "manifest.json"), "utf8"));
    assert.deepEqual(manifest.files.map((f) => f.start), ["2026-09-30T22:00:00Z", "2026-10-01T22:00:00Z"]);
    let rows = 0;
    for (const f of manifest.files) {
      const content = readFileSync(join(started.folder, f.name));
      assert.equal(createHash("sha256").update(content).digest("hex"), f.sha256, f.name);
      rows += gunzipSync(content).toString().split("\n").filter(Boolean).length;
    }
    assert(rows > 0 && rows === status.rows, `${rows} rows, not ${status.rows}`);
    console.log(`try without a key: ${rows} rows in 2 files; from unpacking to the first file ${(took / 1000).toFixed(1)} s`);
  });
  const { stdout } = await run((await host.configuration({})).command, ["verify", join(folder, "two-days")]);
  assert.match(stdout, /✓/);
}

// checkReadOnly has the switch for reading only. No tool that changes anything is offered.
async function checkReadOnly(host) {
  await host.with(await host.configuration({ sandbox: true, read_only: true, folder: join(work, "read") }), async (client) => {
    const { tools } = await client.listTools();
    assert(tools.length > 5 && tools.every((t) => t.annotations.readOnlyHint), tools.map((t) => t.name).join());
    console.log(`read only: ${tools.length} tools`);
  });
}

// checkRegistry fills in server.json, and has the registry's own code look at it.
async function checkRegistry(bundles) {
  const file = join(work, "server.json");
  const image = `ghcr.io/${release.owner}/fullstory-export-mcp:${version}@sha256:${"0".repeat(64)}`;
  await run(process.execPath, [here("../../packaging/mcpb/server.mjs"), version, image, file, ...bundles]);
  const filled = readFileSync(file, "utf8");
  assert(!filled.includes("${"), "a placeholder is left in server.json");
  const { packages } = JSON.parse(filled);
  for (const bundle of bundles) {
    const sum = createHash("sha256").update(readFileSync(bundle)).digest("hex");
    const entry = packages.find((p) => p.fileSha256 === sum);
    assert(bundle.endsWith(entry?.identifier.replace(/.*\//, "")), `${bundle} is not in server.json`);
  }
  const secret = packages.map((p) => p.environmentVariables.filter((v) => v.isSecret).map((v) => v.name));
  assert(secret.every((names) => names.join() === "FULLSTORY_API_KEY"), "the key is not secret");
  const { stdout } = await run(here("registry/run"), [file]);
  console.log(stdout.trim().replace(work + "/", ""));
}

async function main() {
  const bundles = await packed();
  const bundle = (kind) => bundles.find((b) => b.endsWith(`-${kind}.mcpb`));
  const began = Date.now();
  const host = new Host(await unpacked(bundle(own), join(work, "unpacked")), join(work, "home"));
  await checkSandbox(host, began);
  checkManifest(host.bundle, { platform: "linux" });
  for (const [kind, expected] of [["macos", { platform: "darwin" }], ["windows", { platform: "win32", suffix: ".exe" }]]) {
    checkManifest(await unpacked(bundle(kind), join(work, kind)), expected);
  }
  await host.with(await host.configuration({}), (client) => checkLists(client, host.manifest));
  await checkWithoutKey(host);
  await checkReadOnly(host);
  await checkSame();
  await checkRegistry(bundles);
}

setTimeout(() => {
  console.error(`the check takes more than ${deadline / 1000} s`);
  process.exit(1);
}, deadline).unref();
try {
  await main();
} finally {
  rmSync(work, { recursive: true, force: true });
}
