// Writes the statements that load Parquet files, and executes those of DuckDB, PostgreSQL and ClickHouse: every row and
// value of the tables is compared with the exported rows, which Node.js reads. Those of the others are parsed.
//
//   node .ci/load/run.mjs PROGRAM POSTGRES_ADDRESS
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { columnOf, readRows, stored, storedList, typeOf } from "../landing/rows.mjs";
import { zoo } from "../landing/zoo.mjs";
import { clickhouse, duckdb, form, postgresql } from "./engines.mjs";
import { parseAll } from "./parsers.mjs";

const [program, address] = process.argv.slice(2);
if (!address) throw new Error("usage: node run.mjs PROGRAM POSTGRES_ADDRESS");
const dir = mkdtempSync(join(tmpdir(), "load-"));
const bin = join(dir, "bin");
const root = fileURLToPath(new URL("../..", import.meta.url));
let failures = 0;

function fail(text) {
  if (++failures <= 20) console.log(`  FAILED ${text}`);
}

// exported exports with a built-in sandbox of its own into Parquet, and returns its folder.
function exported(name, from, to, ...flags) {
  execFileSync(resolve(program), ["run", "--quiet", "--sandbox", "--sandbox-op-time", "1ms", "--dir", join(dir, name), "--segment",
    "everyone", "--yes", "--name", name, "--from", from, "--to", to, "--parquet", ...flags],
  { stdio: ["ignore", "ignore", "pipe"] });
  return join(dir, name, name);
}

const statements = (...args) => execFileSync(join(bin, "fullstory-export-mcp"), args, { encoding: "utf8" });

// files returns the Parquet files of a folder as day=…/window.parquet, in order.
const files = (folder) => readdirSync(join(folder, "parquet")).filter((d) => d.startsWith("day=")).sort()
  .flatMap((day) => readdirSync(join(folder, "parquet", day)).sort().map((file) => `${day}/${file}`));

const windowOf = (file) => file.split("/")[1].replace(".parquet", "");

// wanted returns the columns and rows that tables should have: sources are [file, folder of the exported file].
function wanted(sources) {
  const all = sources.map(([file, folder]) => [windowOf(file), readRows(join(folder, `${windowOf(file)}.ndjson.gz`))]);
  const names = [...new Set(all.flatMap(([, rows]) => rows.flatMap((row) => Object.keys(row))))].sort();
  // Of names that differ in case only, the first has the column; day and _rest are columns of Parquet itself.
  const columns = [];
  for (const name of names) {
    const column = columnOf(name);
    if (!["day", "_rest", ...columns.map((c) => c.name.toLowerCase())].includes(column.toLowerCase())) {
      columns.push({ name: column, source: name, ...typeOf(name) });
    }
  }
  const rows = all.flatMap(([window, found]) => found.map((row) => {
    const left = { ...row };
    const values = columns.map(({ source, type, list }) => {
      const v = row[source] ?? null;
      const value = v === null ? null : list ? storedList(type, v, false) : stored(type, v, false);
      if (value !== undefined) delete left[source];
      return value ?? null;
    });
    for (const name of Object.keys(left)) if (left[name] === null) delete left[name];
    return { window, values, rest: Object.keys(left).length > 0 };
  }));
  return { columns, rows };
}

// as returns a wanted value as a database has it. PostgreSQL has no U+0000, and ClickHouse no absent lists.
function as(engine, column, v) {
  if (engine === "clickhouse" && column.list && v === null) return [];
  if (Array.isArray(v)) return v.map((e) => as(engine, { ...column, list: false }, e));
  if (typeof v === "object" && v !== null) return "an object";
  return form(column, engine === "postgresql" && typeof v === "string" ? v.replaceAll("\0", "\uFFFD") : v);
}

const show = (v) => JSON.stringify(v)?.slice(0, 150);

// compare compares all rows of a table with the wanted ones, in any order.
async function compare(what, engine, { columns, rows }) {
  const read = [...columns, { name: "_rest", type: "rest", list: false }];
  const line = (row) => JSON.stringify(row);
  const got = (await engine.rows(read)).map((row) => {
    const rest = row.pop();
    return [...row.map((v, i) => (i > 0 && columns[i - 1].type === "json" && v !== null ? "an object" : v)), rest !== null];
  });
  const want = rows.map(({ window, values, rest }) =>
    [window, ...values.map((v, i) => as(engine.name, columns[i], v)), rest]);
  if (got.length !== want.length) fail(`${what}: ${got.length} rows, want ${want.length}`);
  const [found, missing] = [got.map(line).sort(), want.map(line).sort()];
  const at = missing.findIndex((w, i) => w !== found[i]);
  if (at >= 0) {
    const [g, w] = [JSON.parse(found[at] ?? "[]"), JSON.parse(missing[at])];
    const i = w.findIndex((v, n) => show(v) !== show(g[n]));
    fail(`${what}: a row has in ${["_window", ...columns.map((c) => c.name), "_rest"][i]} ${show(g[i])}, want ${show(w[i])}`);
  }
  return want.reduce((n, row) => n + row.filter((v) => v !== null).length, 0);
}

const read = (folder, name) => readFileSync(join(folder, "parquet/load", name), "utf8");
const fill = (text, file) => text.replaceAll("{{window}}", windowOf(file)).replaceAll("{{path}}", file);

// load executes the statements of a folder in all databases, twice.
async function load(name, engines, folder, sources, windows) {
  statements("write", join(dir, name), name);
  const want = wanted(sources);
  for (const engine of engines) {
    const began = Date.now();
    let values = 0;
    try {
      await engine.run(read(folder, `${engine.name}-create.sql`), folder);
      for (const file of windows.flatMap((file) => [file, file])) {
        await engine.run(statements("window", join(dir, name), name, engine.name, file), folder);
      }
      if (windows.length > 0) values = await compare(`${name}, ${engine.name}, windows`, engine, want);
      for (let time = 0; time < 2; time++) {
        await engine.run(read(folder, `${engine.name}-everything.sql`), folder);
        values = await compare(`${name}, ${engine.name}, everything`, engine, want);
      }
      if (windows.length > 0) { // the template of the newest columns does the same
        await engine.run(fill(read(folder, `${engine.name}-window.sql`), windows[0]), folder);
        await compare(`${name}, ${engine.name}, template`, engine, want);
      }
    } catch (error) {
      fail(`${name}, ${engine.name}: ${error.message} ${String(error.stderr)}`.slice(0, 1500));
    }
    console.log(`${name}, ${engine.name}: ${want.rows.length} rows, ${want.columns.length} columns, ${values} values, ` +
      `${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
}

// days writes rows of the zoo over three days.
function days(name, count, change = (line) => line) {
  const path = join(dir, `${name}.ndjson`);
  writeFileSync(path, zoo(count).trimEnd().split("\n")
    .map((line, i) => change(line.replace('"EventStart":"2026-10-01', `"EventStart":"2026-10-0${1 + (i % 3)}`), i))
    .join("\n") + "\n");
  return ["--chunk", "day", "--sandbox-data", path, "--sandbox-state", join(dir, `${name}.state`)];
}

const open = async () => [await duckdb(), postgresql(address, dir, bin), clickhouse(mkdtempSync(join(dir, "db-")))];

try {
  mkdirSync(bin);
  execFileSync("go", ["build", "-o", join(bin, "fullstory-export-mcp"), "./.ci/load/statements"], { cwd: root });

  let engines = await open();
  const week = exported("events", "2026-10-01", "2026-10-02", "--chunk", "6h", "--sandbox-density", "100");
  await load("events", engines, week, files(week).map((file) => [file, week]), []);
  for (const engine of engines) await engine.close();

  engines = await open();
  const kinds = exported("kinds", "2026-10-01", "2026-10-04", ...days("kinds", 1500));
  const later = exported("later", "2026-10-01", "2026-10-04", ...days("later", 900,
    (line, i) => line.replace("}", `,"evt_added_int":${9007199254740993n + BigInt(i)}}`).replace("text", "changed")));
  const [one, two, three] = files(kinds);
  await load("kinds", engines, kinds, [[one, kinds], [two, kinds], [three, kinds]], [one, two, three]);
  // The second window was exported again and has a column that the others lack.
  copyFileSync(join(later, "parquet", two), join(kinds, "parquet", two));
  await load("kinds", engines, kinds, [[one, kinds], [two, later], [three, kinds]], [two, one]);
  parseAll(kinds, two, fail);
  rmSync(join(kinds, "parquet", three.split("/")[0]), { recursive: true });
  await load("kinds", engines, kinds, [[one, kinds], [two, later]], []);
  for (const engine of engines) await engine.close();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.log(failures ? `${failures} differences` : "no difference");
process.exit(failures ? 1 : 0);
