// Reads the tables in a folder that TestTables of delta/ has written, and compares them with what
// that test expects.
//
//   node .ci/delta/check.mjs FOLDER
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { Session } from "chdb";

const folder = process.argv[2];
process.chdir(folder); // ClickHouse reads no files above it
let failures = 0;
let compared = 0;

function same(what, got, want) {
  compared++;
  if (String(got) === String(want)) return;
  failures++;
  console.log(`  FAILED ${what}: ${got}, want ${want}`);
}

const db = await (await DuckDBInstance.create(":memory:", { threads: "2" })).connect();
await db.run("SET TimeZone = 'UTC'");
const duck = async (sql) => (await db.runAndReadAll(sql)).getRowsJson();

// rows returns the rows of a query of ClickHouse as arrays of texts.
const clickhouse = new Session();
const rows = (sql) => JSON.parse(clickhouse.query(`${sql} SETTINGS session_timezone = 'UTC'`, "JSONCompactStrings")).data;

// scanned returns the rows of a query, and how many files of Delta tables were read for it.
function scanned(sql) {
  const files = () => Number(rows("SELECT sum(value) FROM system.events WHERE event = 'DeltaLakeScannedFiles'")[0][0]);
  const before = files();
  const result = rows(sql);
  return [result, files() - before];
}
const table = (name) => `deltaLakeLocal('${join(folder, name)}')`;

// timed returns the result of a function and the seconds that it took.
function timed(f) {
  const began = performance.now();
  const result = f();
  return [result, ((performance.now() - began) / 1000).toFixed(2)];
}

const micros = (t) => {
  const iso = new Date(t / 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${String(t % 1_000_000).padStart(6, "0")}`;
};

// checkHours compares the table of 48 hours, of which some were replaced, and whose last have a
// column more.
async function checkHours(from, want) {
  const [[count, ids, least, most, amount, truths, lists, elements, later, nulls, first, last]] = rows(
    `SELECT count(), sum(id - 9007199254740992), min(id), max(id), sum(amount), countIf(ok), countIf(length(tags) > 0),
    sum(length(tags)), sum(later), countIf(later IS NULL), min(at), max(at) FROM ${from}`);
  same("rows", count, want.Rows);
  same("sum of ids", ids, want.IDs);
  same("least id", least, want.Least);
  same("largest id", most, want.Most);
  same("sum of amounts", amount, want.Amount);
  same("true", truths, want.Truths);
  same("lists with elements", lists, want.Lists / 2);
  same("elements of lists", elements, want.Elements);
  same("sum of the added column", later, want.Later);
  same("NULL in the added column", nulls, 40 * 20);
  same("first time", first, micros(want.FirstAt));
  same("last time", last, micros(want.LastAt));
  const conditions = {
    "at >= '2026-10-01 05:00:00' AND at < '2026-10-01 06:00:00'": want.HourRows,
    [`at = '${micros(want.FirstAt)}'`]: 1,
    [`at >= '${micros(want.LastAt)}'`]: 1,
    [`at > '${micros(want.LastAt)}'`]: 0,
    "day = '2026-10-02'": want.DayRows,
    "day < '2026-10-02'": want.Rows - want.DayRows,
    [`id = ${want.Least}`]: 1,
    [`id = ${want.Most}`]: 1,
    [`id > ${want.Most}`]: 0,
    [`text > '${"t".repeat(40)} 15'`]: want.TextAbove,
    [`text >= '${"t".repeat(40)}'`]: want.Rows,
    "amount < -3": want.Rows / 20,
    "later >= 0": 8 * 20,
    "later IS NOT NULL": 8 * 20,
  };
  for (const [condition, n] of Object.entries(conditions)) {
    same(condition, rows(`SELECT count() FROM ${from} WHERE ${condition}`)[0][0], n);
  }
  // Prefixes of tables in a bucket differ; the paths below them do not.
  const paths = rows(`SELECT DISTINCT _path FROM ${from}`).map(([p]) => p.slice(p.lastIndexOf("day="))).sort();
  same("active files", JSON.stringify(paths), JSON.stringify([...want.Files].sort()));
}

// checkFiles reads the files that the log names as Parquet, with DuckDB.
async function checkFiles(want) {
  const list = want.Files.map((f) => `'${join(folder, "hours", f).replaceAll("'", "''")}'`).join(", ");
  const [got] = await duck(`SELECT count(*), sum(id::hugeint - 9007199254740992)::varchar, count(tags), sum(len(tags)),
    sum(later), count(DISTINCT id) FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false)`);
  const all = [want.Rows, want.IDs, want.Lists, want.Elements, want.Later, want.Rows];
  for (const [i, v] of all.entries()) same(`DuckDB, value ${i}`, got[i], v);
}

// checkSkipping checks that statistics and partitions keep ClickHouse from reading files, so that
// wrong ones would change the counts of checkHours. It uses those of ids and texts.
function checkSkipping(want) {
  const files = want.Files.length;
  for (const [condition, n, read] of [
    [`id = ${want.Most}`, 1, 1],
    [`id > ${want.Most}`, 0, 0],
    [`id < ${want.Least}`, 0, 0],
    ["text > 'u'", 0, 0],
    [`text > '${"t".repeat(40)}'`, want.Rows, files], // above the 32 characters of statistics
    ["day = '2026-10-02'", want.DayRows, files / 2],
  ]) {
    const [[[got]], count] = scanned(`SELECT count() FROM ${table("hours")} WHERE ${condition}`);
    same(condition, got, n);
    same(`files read for ${condition}`, count, read);
  }
  cpSync("hours", "wrong", { recursive: true });
  const log = join("wrong", "_delta_log");
  for (const name of readdirSync(log)) {
    const file = join(log, name);
    if (!name.endsWith(".json")) rmSync(file); // checkpoints have the right statistics
    else writeFileSync(file, readFileSync(file, "utf8").replace(/(maxValues.*?id\\":)\d+/g, "$19007199254740000"));
  }
  const [[[n]], read] = scanned(`SELECT count() FROM ${table("wrong")} WHERE id = ${want.Most}`);
  same("rows of a table with wrong statistics", n, 0);
  same("files read of it", read, 0);
}

// checkCheckpoint reads a copy of the table without the commits that its last checkpoint has, and
// that checkpoint with DuckDB.
async function checkCheckpoint(want) {
  cpSync("hours", "cleaned", { recursive: true });
  const log = join("cleaned", "_delta_log");
  const last = JSON.parse(readFileSync(join(log, "_last_checkpoint"), "utf8"));
  for (const name of readdirSync(log)) {
    if (/^\d+/.test(name) && Number(name.slice(0, 20)) < last.version) rmSync(join(log, name));
  }
  await checkHours(table("cleaned"), want);
  const name = `${String(last.version).padStart(20, "0")}.checkpoint.parquet`;
  const [got] = await duck(`SELECT count(add.path), count(remove.path), count(protocol.minReaderVersion), count(metaData.id),
    bool_and(add.path IS NULL OR json_valid(add.stats)), bool_and(add.path IS NULL OR map_contains(add.tags, 'fullstory.window')),
    max(add.partitionValues['day']), count(*) FROM read_parquet('${join(folder, log, name)}')`);
  const all = [want.Files.length, 24, 1, 1, true, true, "2026-10-02", last.size];
  for (const [i, v] of all.entries()) same(`DuckDB, checkpoint, value ${i}`, got[i], v);
}

// checkOwnReader reads the table with the reader that ClickHouse had before the Rust kernel, its own
// in C++: from the checkpoint before the last, with the commits after it. Without a checkpoint it
// takes commits as the folder lists them, in any order; it leaves partition columns empty.
function checkOwnReader(want) {
  cpSync("hours", "own", { recursive: true });
  const log = join("own", "_delta_log");
  const last = JSON.parse(readFileSync(join(log, "_last_checkpoint"), "utf8")).version;
  rmSync(join(log, `${String(last).padStart(20, "0")}.checkpoint.parquet`));
  writeFileSync(join(log, "_last_checkpoint"), JSON.stringify({ version: last - 10, size: 1 }));
  const event = "DeltaLakeSnapshotInitializations";
  const kernel = () => rows(`SELECT sum(value) FROM system.events WHERE event = '${event}'`)[0][0];
  const own = (select) => JSON.parse(clickhouse.query(`${select} SETTINGS allow_experimental_delta_kernel_rs = 0`,
    "JSONCompactStrings")).data;
  const before = kernel();
  const [[count, ids, later]] = own(`SELECT count(), sum(id - 9007199254740992), sum(later) FROM ${table("own")}`);
  same("own reader, rows", count, want.Rows);
  same("own reader, sum of ids", ids, want.IDs);
  same("own reader, sum of the added column", later, want.Later);
  const paths = own(`SELECT DISTINCT _path FROM ${table("own")}`).map(([p]) => p.slice(p.lastIndexOf("day="))).sort();
  same("own reader, active files", JSON.stringify(paths), JSON.stringify([...want.Files].sort()));
  same("own reader, columns", own(`DESCRIBE ${table("own")}`).map(([name, type]) => `${name} ${type}`).sort(),
    rows(`DESCRIBE ${table("hours")}`).map(([name, type]) => `${name} ${type}`).sort());
  const [[all]] = own(`SELECT count() FROM ${table("year")}`);
  same("own reader, rows of a year", all, 8760);
  same("own reader, snapshots of the kernel", kernel() - before, 1); // the DESCRIBE of hours
}

// checkStats compares the statistics of every active file of a table with what DuckDB finds in it.
async function checkStats(name) {
  const active = new Map();
  const log = join(name, "_delta_log");
  for (const commit of readdirSync(log).filter((n) => n.endsWith(".json")).sort()) {
    for (const line of readFileSync(join(log, commit), "utf8").trim().split("\n")) {
      const { add, remove } = JSON.parse(line);
      if (remove) active.delete(remove.path);
      if (add) active.set(add.path, add.stats);
    }
  }
  let bounds = 0;
  for (const [path, text] of active) {
    // Integers stay texts: JSON.parse would round them.
    const stats = JSON.parse(text.replace(/":(-?\d{15,})(?=[,}])/g, '":"$1"'));
    const file = `'${join(folder, name, decodeURIComponent(path)).replaceAll("'", "''")}'`;
    const select = ["count(*)"];
    const expect = [stats.numRecords];
    for (const [column, nulls] of Object.entries(stats.nullCount)) {
      select.push(`count(*) - count("${column}")`);
      expect.push(nulls);
    }
    for (const [values, op] of [[stats.minValues, ">="], [stats.maxValues, "<="]]) {
      for (const [column, v] of Object.entries(values)) {
        const bound = typeof v === "string" && !/^-?\d{15,}$/.test(v) ? `'${v.replaceAll("'", "''")}'` : v;
        select.push(`bool_and("${column}" ${op} ${bound})`);
        expect.push(true);
        bounds++;
      }
    }
    const [got] = await duck(`SELECT ${select.join(", ")} FROM read_parquet(${file}, hive_partitioning = false)`);
    for (const i of select.keys()) same(`${path}: ${select[i]}`, got[i], expect[i]);
  }
  console.log(`${name}: ${bounds} bounds in the statistics of ${active.size} files`);
}

// checkSandbox compares the table of files that convert made with the files, column by column.
async function checkSandbox() {
  const from = table(join("sandbox", "parquet"));
  const files = `read_parquet('${join(folder, "sandbox", "parquet", "*", "*.parquet")}')`;
  const columns = rows(`DESCRIBE ${from}`).map(([name, type]) => ({ name, type }));
  const described = (await duck(`DESCRIBE SELECT * FROM ${files}`)).map((r) => r[0]);
  same("columns", columns.map((c) => c.name).sort(), described.sort());
  const ours = [];
  const theirs = [];
  for (const { name, type } of columns) {
    if (type.startsWith("Array")) {
      ours.push(`coalesce(sum(length("${name}")), 0)`);
      theirs.push(`coalesce(sum(len("${name}")), 0)`);
      continue;
    }
    ours.push(`count("${name}")`);
    theirs.push(`count("${name}")`);
    if (type.includes("Int64")) {
      ours.push(`coalesce(sum(toInt128("${name}")), 0)`, `coalesce(max("${name}"), 0)`);
      theirs.push(`coalesce(sum("${name}"::hugeint), 0)`, `coalesce(max("${name}"), 0)`);
    } else if (type.includes("DateTime64")) {
      ours.push(`coalesce(sum(toInt128(toUnixTimestamp64Micro("${name}"))), 0)`);
      theirs.push(`coalesce(sum(epoch_us("${name}")::hugeint), 0)`);
    } else if (type.includes("String")) {
      ours.push(`coalesce(sum(length("${name}")), 0)`);
      theirs.push(`coalesce(sum(strlen("${name}")), 0)`);
    }
  }
  const [got] = rows(`SELECT ${ours.join(", ")} FROM ${from}`);
  const [want] = await duck(`SELECT ${theirs.map((t) => `(${t})::varchar`).join(", ")} FROM ${files}`);
  for (const i of ours.keys()) same(`sandbox: ${ours[i]}`, got[i], want[i]);
  for (const day of ["2026-10-01", "2026-10-02", "2026-10-03"]) {
    const [[n]] = rows(`SELECT count() FROM ${from} WHERE EventStart >= '${day} 06:00:00' AND EventStart < '${day} 12:00:00'`);
    const [[all]] = await duck(`SELECT count(*) FROM ${files} WHERE EventStart >= '${day} 06:00:00Z' AND EventStart < '${day} 12:00:00Z'`);
    same(`events of ${day}`, n, all);
  }
  console.log(`files of convert: ${columns.length} columns, ${ours.length} sums and counts`);
}

const want = JSON.parse(readFileSync("hours.json", "utf8"));
await checkHours(table("hours"), want);
await checkFiles(want);
checkSkipping(want);
await checkCheckpoint(want);
checkOwnReader(want);
await checkStats("hours");
await checkStats(join("sandbox", "parquet"));
await checkSandbox();
const [[[count]], all] = timed(() => rows(`SELECT count() FROM ${table("year")}`));
same("rows of a year", count, 8760);
const [[[day]], one] = timed(() => rows(`SELECT count() FROM ${table("year")} WHERE day = '2027-03-01'`));
same("rows of a day", day, 24);
console.log(`a year of 8,760 files: ClickHouse opens and counts it in ${all} s, and a day of it in ${one} s`);
if (all > 2) same("seconds to open a year", all, "at most 2");
if (existsSync("bucket.txt")) {
  const { origin, username, password } = new URL(process.env.FULLSTORY_EXPORT_TEST_S3);
  const place = `${origin}/${readFileSync("bucket.txt", "utf8")}`;
  await checkHours(`deltaLake('${place}', '${username}', '${password}')`, want);
  console.log("the table in a bucket was read too");
} else {
  console.log("no table in a bucket: set FULLSTORY_EXPORT_TEST_S3");
}
console.log(failures ? `${failures} differences` : `${compared} comparisons, no difference`);
clickhouse.close();
process.exitCode = failures ? 1 : 0;
