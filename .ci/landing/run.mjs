// Converts exports of the program to Parquet, and compares every value that DuckDB and
// hyparquet read with the exported rows, which Node.js reads.
//
//   node .ci/landing/run.mjs PROGRAM
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { duckdb, hyparquet, sql } from "./readers.mjs";
import { columnOf, Num, parse, readRows, stored, storedList, typeOf } from "./rows.mjs";
import { zoo } from "./zoo.mjs";

const program = process.argv[2];
const dir = mkdtempSync(join(tmpdir(), "landing-"));
const sample = new URL("../../../shared/data/fullstory-events-sample.json", import.meta.url).pathname;
let failures = 0;

function fail(text) {
  if (++failures <= 20) console.log(`  FAILED ${text}`);
}

// show makes a value readable.
const show = (v) => JSON.stringify(v, (_, x) => (typeof x === "bigint" ? `${x}n` : x))?.slice(0, 200);

// exported exports with the built-in sandbox into Parquet, and returns its folder.
function exported(name, from, to, ...flags) {
  execFileSync(program, ["run", "--quiet", "--sandbox", "--sandbox-op-time", "1ms", "--dir", dir, "--segment", "everyone",
    "--yes", "--name", name, "--from", from, "--to", to, "--parquet", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  return join(dir, name);
}

// expect returns what the columns of a row have, by the rules of docs/parquet.md.
function expect(row, sources, csv) {
  const columns = new Map();
  const rest = {};
  for (const [name, v] of Object.entries(row)) {
    if (v === null) continue;
    const { type, list } = typeOf(name);
    const column = columnOf(name);
    const value = sources.get(column) === name ? (list ? storedList(type, v, csv) : stored(type, v, csv)) : undefined;
    if (value === undefined) rest[name] = v;
    else columns.set(column, value);
  }
  return { columns, rest };
}

// same compares a value that was read with the expected one. JSON may be spaced in several ways.
function same(got, want) {
  if (typeof want === "object" && want !== null && !Array.isArray(want)) return isDeepStrictEqual(parse(got), want);
  return isDeepStrictEqual(got ?? null, want ?? null);
}

// compareRows compares the rows that a reader read with the exported ones.
function compareRows(what, read, rows, sources, csv) {
  if (read.rows.length !== rows.length) return fail(`${what}: ${read.rows.length} rows, want ${rows.length}`);
  let values = 0;
  for (const [i, row] of rows.entries()) {
    const { columns, rest } = expect(row, sources, csv);
    for (const [c, name] of read.columns.entries()) {
      const got = read.rows[i][c];
      const want = name === "_rest" ? (Object.keys(rest).length ? rest : null) : columns.get(name);
      if (!same(got, want)) fail(`${what}: row ${i}, ${name}: ${show(got)}, want ${show(want)}`);
      if (want !== null && want !== undefined) values++;
    }
  }
  return values;
}

// compareSums compares what DuckDB counts in the files of a folder, as one table, with what
// the exported rows give.
async function compareSums(what, glob, columns, files) {
  const all = files.flatMap(({ rows, csv, sources }) => rows.map((row) => expect(row, sources, csv).columns));
  const select = [];
  const want = [];
  for (const name of columns) {
    const values = all.map((row) => row.get(name)).filter((v) => v !== undefined);
    select.push(`count("${name}")`);
    want.push(BigInt(values.length));
    if (values.length > 0 && typeof values[0] === "bigint") {
      const date = typeOf(files[0].sources.get(name)).type === "date";
      const sum = date ? `sum(epoch_us("${name}")::hugeint)` : `sum("${name}"::hugeint)`;
      select.push(`${sum}::varchar`, `min("${name}")`, `max("${name}")`);
      want.push(String(values.reduce((a, b) => a + b)), values.reduce((a, b) => (a < b ? a : b)),
        values.reduce((a, b) => (a > b ? a : b)));
    } else if (values.length > 0 && typeof values[0] === "string") {
      select.push(`count(DISTINCT "${name}")`, `sum(strlen("${name}"))::varchar`);
      want.push(BigInt(new Set(values).size), String(values.reduce((n, v) => n + Buffer.byteLength(v), 0)));
    }
  }
  const [got] = await sql(`SELECT count(*), ${select.join(", ")} FROM read_parquet('${glob}')`);
  for (const [i, v] of [BigInt(all.length), ...want].entries()) {
    if (!isDeepStrictEqual(got[i], v)) fail(`${what}: ${i ? select[i - 1] : "count(*)"} is ${show(got[i])}, want ${show(v)}`);
  }
  return want.length + 1;
}

// check compares all files of an export.
async function check(name, folder) {
  const began = Date.now();
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const files = [];
  let columns;
  let values = 0;
  for (const day of readdirSync(join(folder, "parquet")).filter((d) => d.startsWith("day="))) {
    for (const file of readdirSync(join(folder, "parquet", day))) {
      const path = join(folder, "parquet", day, file);
      const [one, other] = [await duckdb(path), await hyparquet(path)];
      const renamed = JSON.parse(other.meta["fullstory.renamed"]);
      const sources = new Map(one.columns.map((c) => [c, renamed[c] ?? c]));
      const source = manifest.files.find((f) => f.name === other.meta["fullstory.source"]);
      if (source?.sha256 !== other.meta["fullstory.source_sha256"]) fail(`${file} was made of another file`);
      const rows = readRows(join(folder, source.name));
      const csv = source.name.endsWith(".csv.gz");
      columns ??= one.columns;
      for (const read of [one, other]) if (!isDeepStrictEqual(read.columns, columns)) fail(`${file} has other columns`);
      values += compareRows(`${file}, DuckDB`, one, rows, sources, csv);
      compareRows(`${file}, hyparquet`, other, rows, sources, csv);
      files.push({ rows, csv, sources });
    }
  }
  if (files.length !== manifest.files.length) fail(`${files.length} files of Parquet, want ${manifest.files.length}`);
  const glob = join(folder, "parquet", "*", "*.parquet");
  const sums = await compareSums(name, glob, columns.filter((c) => c !== "_rest"), files);
  const [[rest]] = await sql(`SELECT count(_rest) FROM read_parquet('${glob}')`);
  console.log(`${name}: ${files.length} files, ${columns.length} columns, ${values} values by both readers, ` +
    `${sums} sums, ${rest} rows with _rest, ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

try {
  const days = ["2026-10-01", "2026-10-02", "--chunk", "6h", "--sandbox-density", "150"];
  for (const format of ["ndjson", "json", "csv"]) {
    await check(`events, ${format}`, exported(`events-${format}`, ...days, "--format", format));
  }
  for (const format of ["ndjson", "csv"]) {
    const folder = exported(`people-${format}`, "2026-10-01", "2026-10-02", "--type", "people", "--format", format,
      "--sandbox-density", "150");
    await check(`people, ${format}`, folder);
  }
  await check("a zone", exported("zone", "2026-10-24", "2026-10-27", "--timezone", "Europe/Berlin", "--sandbox-density", "20"));
  const data = join(dir, "zoo.ndjson");
  writeFileSync(data, zoo(3000));
  for (const format of ["ndjson", "json", "csv"]) {
    const folder = exported(`zoo-${format}`, "2026-10-01", "2026-10-02", "--format", format, "--sandbox-data", data,
      "--sandbox-state", join(dir, "zoo"));
    await check(`every type and odd values, ${format}`, folder);
  }
  if (existsSync(sample)) {
    await check("real rows", exported("real", "2020-08-27", "2020-08-31", "--sandbox-data", sample));
  } else {
    console.log(`real rows: skipped, since ${sample} is not here`);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.log(failures ? `${failures} differences` : "no difference");
process.exit(failures ? 1 : 0);
