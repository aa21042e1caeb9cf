// Drives the web page of serve in Chromium, against the program.
// Usage: node test.mjs PROGRAM [FOLDER OF SCREENSHOTS]
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer from "puppeteer-core";

const program = process.argv[2], shots = process.argv[3];
assert(program, "usage: node test.mjs PROGRAM [FOLDER]");
if (shots) mkdirSync(shots, { recursive: true });
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const dir = mkdtempSync(join(tmpdir(), "web-")), callers = join(dir, "callers.json"), started = [];
process.on("exit", () => { for (const c of started) c.kill("SIGKILL"); rmSync(dir, { recursive: true, force: true }); });

async function until(what, probe, limit = 150_000) {
  for (const end = Date.now() + limit; Date.now() < end; await sleep(100)) {
    const found = await probe();
    if (found) return found;
  }
  assert.fail(`not in ${limit / 1000} s: ${what}`);
}

// start starts a command that runs on, and returns what announced finds in what it prints.
async function start(announced, args, env = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  started.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (b) => { said += b; });
  child.on("exit", (code) => { if (code) console.error(said.slice(-2000)); });
  return (await until("the program says where it is", () => said.match(announced)))[1];
}
const token = (name, ...more) => execFileSync(program, ["serve", "token", name, "--callers", callers, ...more], { encoding: "utf8" }).trim();

// client calls tools over Streamable HTTP, as an assistant does.
async function client(url, bearer) {
  let session, last = 0;
  const send = async (message) => {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    if (bearer) headers.Authorization = "Bearer " + bearer;
    if (session) headers["Mcp-Session-Id"] = session;
    const r = await fetch(url + "/mcp", { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
    session ??= r.headers.get("mcp-session-id");
    const text = await r.text();
    const found = text.split("\n").map((l) => l.replace(/^data: /, "")).filter((l) => l.startsWith("{")).map((l) => JSON.parse(l));
    return found.find((m) => m.id === message.id);
  };
  await send({ id: ++last, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } } });
  await send({ method: "notifications/initialized" });
  return async (name, args) => {
    const answer = await send({ id: ++last, method: "tools/call", params: { name, arguments: args } });
    assert(answer?.result && !answer.result.isError, `${name}: ${JSON.stringify(answer)}`);
    return answer.result.structuredContent;
  };
}
const at = /Web page at (\S+)\//;
const bulk = (name, range, chunk, segment = "Everyone") => ({
  segment_id: segment, type: "TYPE_EVENT", format: "FORMAT_NDJSON", time_range: range, segment_time_range: "range", chunk, name, timezone: "Europe/Berlin",
});

const anna = token("anna", "--account", "emea"), rita = token("rita", "--account", "emea", "--read-only");
const file = (name, content) => { writeFileSync(join(dir, name), JSON.stringify(content)); return join(dir, name); };
const url = await start(at, ["serve", "--addr", "127.0.0.1:0", "--sandbox", "--dir", join(dir, "exports"), "--callers", callers,
  "--sandbox-now", "2026-11-16T09:30:00Z", "--sandbox-op-time", "200ms", "--sandbox-slots", "10", "--sandbox-rate", "100", "--sandbox-burst", "200",
  "--sandbox-density", "600"]);
const call = await client(url, anna);
await call("start_bulk_export", bulk("baskets-of-october", "2026-10-01/P20D", "day", "Big baskets"));
const status = (of = id) => call("get_bulk_export", { bulk_id: of });
await until("it is complete", async () => (await status("baskets-of-october")).state === "complete");
const { folder } = await status("baskets-of-october");
for (const name of readdirSync(folder).filter((n) => n.endsWith(".gz")).sort().slice(3, 6)) rmSync(join(folder, name));
await call("start_bulk_export", bulk("first-week", "2026-10-01/2026-10-08", "day"));
await call("sync_export", { action: "create", name: "everyone-daily", segment_id: "Everyone", type: "TYPE_EVENT", segment_time_range: "range", every: "day", chunk: "day", from: "2026-10-20", timezone: "Europe/Berlin" });
const { bulk_id: id } = await call("start_bulk_export", bulk("checkout-autumn", "2026-10-12/2026-11-08", "hour", "Checkout visitors"));

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--lang=en"] });
const page = await browser.newPage(), faulty = [];
await page.evaluateOnNewDocument(() => document.addEventListener("securitypolicyviolation", (e) => console.error("CSP " + e.violatedDirective + " " + e.blockedURI)));
page.on("console", (m) => m.type() === "error" && faulty.push(m.text() + " " + (m.location().url ?? "")));
page.on("pageerror", (e) => faulty.push(String(e)));
await page.setViewport({ width: 1100, height: 620 });
const text = () => page.evaluate(() => document.body.innerText);
const shows = (words) => until(`the page shows ${words}`, async () => (await text()).includes(words), 60_000);
const shot = async (name, fullPage = true) => { if (shots) await page.screenshot({ path: join(shots, name + ".png"), fullPage }); };
const goes = async (act) => { await Promise.all([page.waitForNavigation(), act()]); };

// Without a session the page of an export leads to the form, which leads back.
await page.goto(`${url}/bulk/${id}`);
assert.equal(new URL(page.url()).pathname, "/sign-in");
await page.type("#caller_token", "not a token");
await goes(() => page.keyboard.press("Enter"));
await shows("not valid");
assert.deepEqual(faulty.splice(0).filter((f) => !f.includes("status of 403")), []);
await page.type("#caller_token", anna);
await goes(() => page.keyboard.press("Enter"));
assert.equal(new URL(page.url()).pathname, "/bulk/" + id);
const cookies = await page.cookies();
assert.deepEqual(cookies.map((c) => [c.httpOnly, c.sameSite, c.session]), [[true, "Strict", true]]);
assert.equal(await page.evaluate(() => document.cookie), "", "scripts see the cookie");

// It updates by itself.
await page.evaluate(() => { window.loadedOnce = true; });
const stored = () => page.evaluate(() => document.querySelector(".facts")?.textContent ?? "");
await page.waitForSelector(".blocks button");
const first = await stored();
await until("the page counts on", async () => (await stored()) !== first);
assert(await page.evaluate(() => window.loadedOnce), "the page was loaded again");

// Actions by mouse and by keyboard reach the audit log.
await (await page.waitForSelector("[data-k=pause]")).click();
await page.waitForSelector("[data-k=resume]");
assert.equal((await status()).state, "paused");
await shot("web-paused");
await page.focus("[data-k=resume]");
await page.keyboard.press("Enter");
await page.waitForSelector("[data-k=pause]");
assert.equal((await status()).state, "running");
assert(await page.evaluate(() => window.loadedOnce), "an action loaded the page again");
await until("a part is stored", async () => (await status()).chunks.stored > 24);
await shot("web-bulk");

// The list opens an export; files are fetched.
await goes(() => page.click(".brand"));
await page.waitForSelector(".list .row");
await shows("everyone-daily");
await shot("web-list");
await goes(() => page.evaluate(() => [...document.querySelectorAll(".list .row")].find((e) => e.innerText.includes("first-week")).click()));
await page.waitForSelector(".blocks button");
await until("it is complete", async () => (await text()).includes("complete"));
await goes(() => page.evaluate(() => [...document.querySelectorAll(".more a")].find((e) => e.innerText === "Files").click()));
await shows("Download all as a tar file");
await shot("web-files");
const got = await page.evaluate(async () => {
  const r = await fetch(document.querySelector("td a").href);
  return [r.status, r.headers.get("content-type"), (await r.arrayBuffer()).byteLength];
});
assert(got[0] === 200 && got[1] === "application/gzip" && got[2] > 1000, String(got));

// Retrying: by the view of the list of problems.
const baskets = (await status("baskets-of-october")).bulk_id;
await page.goto(`${url}/bulk/${baskets}`);
await page.waitForSelector("[data-k=retry]");
await page.focus("[data-k=retry]");
await page.keyboard.press("Space");
await until("the missing files are stored again", async () => (await status("baskets-of-october")).state === "complete");
await shows("complete");

// Cancelling asks first.
await page.goto(`${url}/bulk/${id}`);
await goes(() => page.evaluate(() => [...document.querySelectorAll(".more a")].find((e) => e.innerText.startsWith("Cancel")).click()));
await shows("It cannot be undone.");
await shot("web-cancel");
await page.focus(".danger");
await goes(() => page.keyboard.press("Enter"));
await shows("cancelled");
await goes(() => page.evaluate(() => [...document.querySelectorAll("nav a")].find((e) => e.innerText === "Audit log").click()));
await shows("cancelled");
await shot("web-audit", false);
const wanted = new Set(["paused", "running", "cancelled", "reason: Paused on request.", "offered", "served"]);
for (;;) {
  const said = await text();
  for (const words of wanted) if (said.includes(words)) wanted.delete(words);
  const older = await page.$(".more a");
  if (!older || !wanted.size) break;
  await goes(() => older.click());
}
assert.deepEqual([...wanted], [], "these are not in the audit log");

// Accessible on every page, in both themes, at three widths; nothing is wider than the window.
const looked = { list: "/", bulk: "/bulk/" + id, sync: "/sync/everyone-daily", files: "/files", filesOf: "/files?bulk=" + baskets, audit: "/audit", problem: "/bulk/nothing" };
const checked = async (name) => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert.deepEqual(serious.map((v) => `${name} ${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
  assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than the window`);
};
const everywhere = async (pages, more) => {
  for (const theme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    for (const width of [320, 800, 1600]) {
      await page.setViewport({ width, height: 900 });
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(url + path);
        if (["list", "bulk", "sync"].includes(name)) await page.waitForSelector(".list button, .blocks button");
        await checked(`${name} ${theme} ${width} ${more}`);
        await shot(`all-${name}-${theme}-${width}${more}`);
      }
    }
  }
  await page.setViewport({ width: 1100, height: 620 });
};
await everywhere(looked, "");
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
await page.goto(`${url}/sync/everyone-daily`);
await page.waitForSelector(".blocks button");
await shot("web-sync-dark");
await page.emulateMediaFeatures([]);

// Without JavaScript every page reads, and is accessible.
await page.setJavaScriptEnabled(false);
for (const [path, words] of Object.entries({ "/": "checkout-autumn", ["/bulk/" + id]: "From", "/sync/everyone-daily": "Next run" })) {
  await page.goto(url + path);
  assert((await page.content()).includes(words), `${path} without JavaScript`);
  await shot("plain" + path.replaceAll("/", "-"));
}
await page.setJavaScriptEnabled(true);

// Who only reads sees no action.
await page.goto(url + "/");
await goes(() => page.click(".who button"));
await shows("Sign in");
await everywhere({ "sign-in": "/sign-in" }, "");
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
await page.goto(url + "/sign-in");
await shot("web-sign-in");
await page.type("#caller_token", rita);
await goes(() => page.keyboard.press("Enter"));
await page.goto(`${url}/sync/everyone-daily`);
await page.waitForSelector(".blocks button");
assert.equal(await page.$$eval(".act[data-k], .more a[href*=files], .more a[href*=cancel]", (e) => e.length), 0);
assert.deepEqual(faulty.splice(0).filter((f) => !f.includes("/bulk/nothing")), []);

// Hostile texts of Fullstory draw as text.
const evil = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\u202Egnp.exe`;
const real = await start(/at (http:\/\/\S+?)[,;.]?\s/, ["sandbox", "--addr", "127.0.0.1:0", "--state", join(dir, "sandbox"), "--faults",
  file("all-fail.json", { rates: { failed: 1 } })]);
const liar = createServer(async (r, w) => {
  const headers = { ...r.headers, host: new URL(real).host };
  const body = r.method === "GET" ? undefined : await new Promise((done) => { let b = ""; r.on("data", (c) => { b += c; }).on("end", () => done(b)); });
  delete headers["content-length"];
  delete headers.connection;
  delete headers["accept-encoding"];
  const answer = await fetch(real + r.url, { method: r.method, headers, body });
  const said = (await answer.text()).replace(/"(name|creator|errorDetails|message|step)":\s*"[^"]*"/g, (_, key) => `"${key}":${JSON.stringify(evil)}`);
  w.writeHead(answer.status, { "content-type": "application/json" }).end(said);
});
await new Promise((done) => liar.listen(0, "127.0.0.1", done));
const other = await start(at, ["serve", "--addr", "127.0.0.1:0", "--dir", join(dir, "lies"), "--api-url", `http://127.0.0.1:${liar.address().port}`],
  { FULLSTORY_API_KEY: "na1.sandbox-architect/ARCH" });
const lied = await client(other);
const { bulk_id: wrong } = await lied("start_bulk_export", bulk("wrong", "2026-11-01/2026-11-03", "day", "everyone"));
await page.setViewport({ width: 320, height: 900 });
await page.goto(`${other}/bulk/${wrong}`);
await page.waitForSelector(".blocks button");
await until("it shows the text", async () => (await text()).includes("img src=x"), 30_000);
assert.equal(await page.evaluate(() => document.images.length + (window.pwned ?? 0) + document.querySelectorAll("main script").length), 0);
assert(!(await text()).includes("\u202E"), "characters that change the direction are shown");
await checked("hostile texts");
await shot("hostile-320");
await page.setJavaScriptEnabled(false);
await page.goto(`${other}/bulk/${wrong}`);
assert((await page.content()).includes("&lt; img src=x"), "the page without JavaScript lacks the text");
assert.equal(await page.$$eval("img", (e) => e.length), 0);
await page.setJavaScriptEnabled(true);
assert.deepEqual(faulty, []);

// A page of another origin can neither act nor read, although this server needs no sign-in.
const stranger = createServer((_, w) => w.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>other</title>"));
await new Promise((done) => stranger.listen(0, "127.0.0.1", done));
await page.goto(`http://127.0.0.1:${stranger.address().port}/`);
const tried = await page.evaluate(async (base, id) => {
  const outcome = (p) => p.then((r) => r.type + r.status, () => "blocked");
  return [await outcome(fetch(base + "/data")), await outcome(fetch(base + "/data", { mode: "no-cors" })),
    await outcome(fetch(`${base}/bulk/${id}/cancel`, { method: "POST", mode: "no-cors", credentials: "include" })),
    await new Promise((done) => { const f = document.createElement("iframe"); f.src = base + "/"; f.onload = () => { try { done(String(f.contentDocument)); } catch { done("blocked"); } }; document.body.append(f); })];
}, other, wrong);
assert.deepEqual(tried, ["blocked", "blocked", "blocked", "null"]);
assert.notEqual((await lied("get_bulk_export", { bulk_id: wrong })).state, "cancelled");

// This test sees what the policy blocks.
faulty.length = 0;
await page.goto(other + "/");
await page.evaluate(() => { const s = document.createElement("script"); s.textContent = "window.pwned = 1"; document.body.append(s); });
await until("a violation is seen", () => faulty.some((f) => f.startsWith("CSP script-src")));
assert.equal(await page.evaluate(() => window.pwned), undefined);

await browser.close();
liar.close();
stranger.close();
console.log("the web page: sign-in, live updates, actions, files, hostile texts, other origins; no violation of the policy, no serious finding");
process.exit(0);
