// Drives the view in Chromium inside the host of the extension for MCP Apps, against the program.
// Usage: node test.mjs PROGRAM [FOLDER OF SCREENSHOTS]
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSync } from "esbuild";
import puppeteer from "puppeteer-core";

const program = process.argv[2], shots = process.argv[3], KEY = "fullstory-export-mcp/view", URI = "ui://fullstory-export/view";
assert(program, "usage: node test.mjs PROGRAM [FOLDER]");
if (shots) mkdirSync(shots, { recursive: true });
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const dir = mkdtempSync(join(tmpdir(), "views-"));
const flags = ["--sandbox", "--dir", dir, "--sandbox-op-time", "400ms", "--sandbox-rate", "100", "--sandbox-burst", "200", "--sandbox-density", "4000"];

// server starts the program and speaks MCP with it, as a host that shows apps or one that does not.
async function server(apps, ...more) {
  const child = spawn(program, [...flags, ...more], { stdio: ["pipe", "pipe", process.env.VERBOSE ? "inherit" : "ignore"] });
  const waiting = new Map();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const m = JSON.parse(line);
    if (m.id !== undefined && waiting.has(m.id)) waiting.get(m.id)(m);
  });
  child.on("exit", (code) => { if (code) throw new Error(`the program ended with ${code}; VERBOSE=1 shows why`); });
  let last = 0;
  const send = (m) => child.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...m }) + "\n");
  const ask = async (method, params = {}) => {
    const id = ++last, answer = new Promise((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    const m = await answer;
    assert(!m.error, `${method}: ${JSON.stringify(m.error)}`);
    return m.result;
  };
  const extensions = { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } };
  const hello = await ask("initialize", {
    protocolVersion: "2025-11-25", capabilities: apps ? { extensions } : {}, clientInfo: { name: "test", version: "1" },
  });
  send({ method: "notifications/initialized" });
  const call = async (name, args = {}) => {
    const r = await ask("tools/call", { name, arguments: args });
    assert(!r.isError, `${name}: ${r.content?.[0]?.text}`);
    return r;
  };
  const end = () => new Promise((resolve) => { child.on("exit", resolve); child.stdin.end(); });
  return { hello, ask, call, end };
}

async function until(what, probe, limit = 60_000) {
  for (const end = Date.now() + limit; Date.now() < end; await sleep(100)) {
    const found = await probe();
    if (found) return found;
  }
  assert.fail(`not in ${limit / 1000} s: ${what}`);
}

const entries = () => execFileSync(program, ["audit", "--dir", dir], { encoding: "utf8" })
  .trim().split("\n").map((line) => JSON.parse(line));

const one = await server(true);
const plain = await server(false, "--read-only");

// What clients see of it.
assert("io.modelcontextprotocol/ui" in one.hello.capabilities.extensions);
const listed = (await one.ask("tools/list")).tools.filter((t) => t._meta?.ui?.resourceUri === URI && t._meta["ui/resourceUri"] === URI);
assert.deepEqual(listed.map((t) => t.name).sort(),
  ["control_bulk_export", "get_bulk_export", "list_bulk_exports", "list_syncs", "start_bulk_export", "sync_export"]);
assert(!JSON.stringify(await plain.ask("tools/list")).includes("ui://"), "a host without apps pays for them");
const [view] = (await one.ask("resources/read", { uri: URI })).contents;
assert.equal(view.mimeType, "text/html;profile=mcp-app");
assert.deepEqual(view._meta.ui.csp, { connectDomains: [], resourceDomains: [] });
console.log(`the view has ${view.text.length} bytes`);

const start = (segment, name, range, chunk, zone = "Europe/Berlin") => one.call("start_bulk_export", {
  segment_id: segment, type: "TYPE_EVENT", format: "FORMAT_NDJSON", time_range: range, segment_time_range: "range", chunk, name, timezone: zone,
});
await start("Big baskets", "baskets-of-october", "2026-10-01/P20D", "day");
const status = async (name) => (await one.call("get_bulk_export", { bulk_id: name, detail: "problems" }));
await until("a bulk export is complete", async () => (await status("baskets-of-october")).structuredContent.state === "complete");
const folder = (await status("baskets-of-october")).structuredContent.folder;
for (const name of readdirSync(folder).filter((n) => n.endsWith(".gz")).sort().slice(3, 6)) rmSync(join(folder, name));
await start("Checkout visitors", "checkout-autumn", "2026-09-20/2026-11-08", "hour");
await until("a third is stored", async () => (await status("checkout-autumn")).structuredContent.percent > 15);
assert.equal((await plain.call("get_bulk_export", { bulk_id: "checkout-autumn" }))._meta, undefined);

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--lang=en"] });
const page = await browser.newPage();
const faulty = [];
await page.evaluateOnNewDocument(() => document.addEventListener("securitypolicyviolation", (e) => console.error("CSP " + e.violatedDirective + " " + e.blockedURI)));
page.on("console", (m) => m.type() === "error" && faulty.push(m.text()));
page.on("pageerror", (e) => faulty.push(String(e)));
let calls = 0;
await page.exposeFunction("called", (params) => { calls++; return one.ask("tools/call", params); });
const built = buildSync({ entryPoints: [new URL("host-page.js", import.meta.url).pathname], bundle: true, format: "iife", write: false });
await page.goto("about:blank");
await page.evaluate(built.outputFiles[0].text);

const frame = () => page.frames().find((f) => f !== page.mainFrame());
const open = async (result, { serverTools = true, theme = "light", width = 800 } = {}) => {
  await page.setViewport({ width, height: 900 });
  await page.evaluate((html, o) => window.open_(html, o), view.text, { serverTools, theme });
  if (result) await page.evaluate((r) => window.give(r), result);
};
const text = () => frame().evaluate(() => document.body.innerText);
const shows = (words) => until(`the view shows ${words}`, async () => (await text()).includes(words), 20_000);
const shot = async (name) => { if (shots) await (await page.$("iframe")).screenshot({ path: join(shots, name + ".png") }); };

// Actions reach the audit log: by mouse, and by keyboard.
await open(await status("checkout-autumn"));
await shows("running");
await (await frame().waitForSelector("[data-k=pause]")).click();
await shows("paused");
await until("the pause is in the audit log", () => entries().some((e) => JSON.stringify(e).includes("Paused on request")));

// A day opens by keyboard, and arrow keys move.
await frame().focus(".blocks button[tabindex='0']");
await page.keyboard.press("ArrowRight");
await page.keyboard.press("ArrowDown");
await page.keyboard.press("Enter");
await frame().waitForSelector(".inside li");
assert.match(await frame().$eval(".inside h3", (e) => e.textContent), /^Mon,? 28 Sept? 2026: /);
assert.equal(await frame().$$eval(".inside li", (e) => e.length), 24);
assert.equal(await frame().evaluate(() => document.activeElement.ariaExpanded), "true", "focus stays on the day");
const cells = (await frame().$$eval(".blocks button", (all) => all.map((b) => b.ariaLabel)));
assert.equal(cells.length, 49);
const autumn = await status("checkout-autumn");
assert.match(autumn._meta[KEY].calendars[autumn.structuredContent.bulk_id].lengths, /^3600\*1177$/);

// It is resumed by keyboard, and the view follows it.
await (await frame().waitForSelector("[data-k=resume]")).focus();
await page.keyboard.press("Enter");
await shows("running");
const before = calls;
await until("the view asks again by itself", () => calls > before + 1, 20_000);
await sleep(3000);
await shot("running-light-800");

// A caller who only reads sees no buttons, and neither does a host that cannot call tools.
const readOnly = await server(true, "--read-only");
await open(await readOnly.call("get_bulk_export", { bulk_id: "checkout-autumn" }));
await frame().waitForSelector(".blocks button");
assert.equal(await frame().$$eval(".act", (e) => e.length), 0);
await readOnly.end();
await open(await status("checkout-autumn"), { serverTools: false });
await frame().waitForSelector(".blocks button");
assert.equal(await frame().$$eval(".act", (e) => e.length), 0);

// Problems: files that are gone are exported again.
await open(await status("baskets-of-october"), { width: 800 });
await shows("problem");
await shot("problems-light-800");
await (await frame().waitForSelector("[data-k=retry]")).focus();
await page.keyboard.press("Space");
await until("the files are there again", async () => (await status("baskets-of-october")).structuredContent.state === "complete");
await shows("complete");

// Hostile texts are text.
const evil = "<img src=x onerror='window.pwned=1'>\u202Egnp.exe" + "A".repeat(10_000);
const wrong = structuredClone(autumn);
Object.assign(wrong._meta[KEY].items[0], {
  name: evil, problems: [{ start: evil, end: evil, problem: evil }], export: { segment_name: evil, rows: evil, format: evil }, eta: evil,
});
wrong._meta[KEY].calendars[autumn.structuredContent.bulk_id].timezone = evil;
await open(wrong, { width: 320 });
await shows("<img src=x");
assert.equal(await frame().evaluate(() => document.images.length + (window.pwned ?? 0)), 0);
assert(await frame().evaluate(() => document.documentElement.scrollWidth <= innerWidth), "hostile texts widen the view");
assert((await text()).length < 8_000, "long texts are cut");
wrong._meta[KEY].items.push({ ...wrong._meta[KEY].items[0], bulk_id: "other" });
await open(wrong, { width: 320 });
await frame().waitForSelector(".list");
assert.equal(await frame().evaluate(() => document.images.length + (window.pwned ?? 0)), 0);

// Accessible in both themes, at three widths.
await one.call("sync_export", { action: "create", name: "everyone-daily", segment_id: "Everyone", type: "TYPE_EVENT", segment_time_range: "range", every: "day", chunk: "day", from: "2026-11-10", timezone: "UTC" });
const bulks = await one.call("list_bulk_exports"), syncs = await one.call("list_syncs");
const partly = await status("checkout-autumn");
const shown = partly._meta[KEY].calendars[partly.structuredContent.bulk_id];
const mixed = structuredClone(partly);
Object.assign(mixed._meta[KEY].items[0], { state: "partial", problems: [{ start: "2026-10-07T04:00:00+02:00", end: "2026-10-07T05:00:00+02:00", problem: "Fullstory ended the export as FAILED: internal error." }] });
mixed._meta[KEY].items[0].chunks = { ...mixed._meta[KEY].items[0].chunks, failed: 2, missing: 1, stored: 1162 };
mixed._meta[KEY].calendars[partly.structuredContent.bulk_id] = { ...shown, states: "412s2f190s1m300s6t200s10v30s8r12p3c3p" };
const year = structuredClone(mixed); // a year of hours in Berlin
Object.assign(year._meta[KEY].items[0], { name: "checkout-2026", state: "running", rows: 48_211_904, bytes: 9.1e9,
  chunks: { all: 8760, stored: 7931, failed: 2 }, eta: "2026-12-01T17:40:00+01:00" });
const volume = Array.from({ length: 331 }, (_, i) => Math.round(1e5 * (1.6 + Math.sin(i / 40)) * ([5, 6].includes((i + 3) % 7) ? 0.5 : 1)));
year._meta[KEY].calendars[partly.structuredContent.bulk_id] = { ...shown, start: 1767222000, lengths: "3600*8760", windows: 8760,
  offsets: [[1767222000, 3600], [1774746000, 7200], [1792890000, 3600]], states: "2890s2f4000s1m1033s8r826p",
  rows: { by: "day", first: "2026-01-01", rows: volume } };
for (const theme of ["light", "dark"]) {
  for (const width of [320, 800, 1600]) {
    for (const [name, result] of Object.entries({ mixed, year, bulks, syncs })) {
      await open(result, { theme, width, serverTools: false });
      await frame().waitForSelector(".blocks button, .list button");
      await frame().evaluate(() => document.querySelector("summary")?.click());
      if (name !== "bulks") await frame().waitForSelector("details td");
      await frame().evaluate(axe);
      const found = await frame().evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
      assert.deepEqual(serious.map((v) => `${theme} ${width} ${name} ${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
      assert(await frame().evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than ${width}`);
      await frame().evaluate(() => document.querySelector("summary")?.click());
      await sleep(100);
      await shot(`${name}-${theme}-${width}`);
    }
  }
}

// A year of hours draws about as fast as nothing.
const times = await frame().evaluate(() => {
  const draw = (states, lengths) => {
    const root = document.createElement("main");
    document.body.append(root);
    const began = performance.now();
    FullstoryView(root, {}).show({ items: [{ bulk_id: "b", name: "year", state: "running", chunks: { all: 8760, stored: 8000 } }],
      calendars: { b: { states, lengths, start: 1790805600, offsets: [[1790805600, 7200], [1792890000, 3600]], timezone: "Europe/Berlin" } }, can: [] });
    root.getBoundingClientRect();
    const took = performance.now() - began, squares = root.querySelectorAll(".blocks button").length;
    root.remove();
    return { took, squares };
  };
  // The machine may be shared: the fastest of five counts.
  const best = (...args) => [1, 2, 3, 4, 5].map(() => draw(...args)).sort((a, b) => a.took - b.took)[0];
  return [best("", ""), best("4000s10f3000s50r1000s700p", "3600*8760"), best("sp".repeat(4380), "3600*8760")];
});
console.log("ms to draw nothing, a year of hours, and one whose hours alternate:", times.map((t) => t.took.toFixed(1)).join(", "));
assert(times[1].squares >= 365 && times[1].took - times[0].took < 300 && times[2].took - times[0].took < 300, JSON.stringify(times));

assert.deepEqual(faulty, []);
await browser.close();
await one.end();
await plain.end();
rmSync(dir, { recursive: true, force: true });
console.log("The view works in Chromium.");
