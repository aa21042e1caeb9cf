// Asks random questions about exports of the program, and compares the answers of query with
// those of DuckDB about the same Parquet files.
//
//   node .ci/landing/query.mjs PROGRAM [QUESTIONS] [SEED]
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { Num, parse } from "./rows.mjs";
import { zoo } from "./zoo.mjs";

const [program, count = "300", start = String(Date.now() % 1e9)] = process.argv.slice(2);
const dir = mkdtempSync(join(tmpdir(), "query-"));
const db = await (await DuckDBInstance.create(":memory:", { threads: "2" })).connect();
let seed = Number(start);
let failures = 0;

// random returns a number from 0 up to n.
function random(n) {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return Math.floor((seed / 0x80000000) * n);
}
const pick = (list) => list[random(list.length)];

function run(...args) {
  return execFileSync(program, [...args, "--dir", dir], { maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "pipe"] }).toString();
}

// exported exports with the built-in sandbox into Parquet.
function exported(name, ...flags) {
  run("run", "--quiet", "--sandbox", "--sandbox-op-time", "1ms", "--segment", "everyone", "--yes", "--name", name,
    "--parquet", ...flags);
}

const duckdb = async (sql) => (await db.runAndReadAll(sql)).getRows().map((row) => row.map(plain));

// plain returns a value of DuckDB as one of JavaScript.
const plain = (v) => (typeof v === "object" && v !== null && "items" in v ? v.items : v);

// one returns a value in a form that both answers have.
function one(v) {
  if (v === null || v === undefined) return "NULL";
  if (v instanceof Num) return /[.eE]/.test(v.text) ? `real ${Number(v.text)}` : `int ${v.text}`;
  if (typeof v === "number") return `real ${v}`;
  if (typeof v === "bigint") return `int ${v}`;
  return `text ${v}`;
}

// Table is an export with the types of its columns.
class Table {
  constructor(name) {
    this.name = name;
    this.from = `read_parquet('${join(dir, name, "parquet", "*", "*.parquet")}', hive_types_autocast = false)`;
  }

  async describe() {
    const types = { BIGINT: "int", DOUBLE: "real", BOOLEAN: "bool", "TIMESTAMP WITH TIME ZONE": "time", VARCHAR: "text" };
    this.columns = (await duckdb(`DESCRIBE SELECT * FROM ${this.from}`))
      .map(([name, type]) => ({ name, type: types[type] ?? (type.endsWith("[]") ? "list" : undefined), of: type }))
      .filter((c) => c.type && !["_rest", "UserVars", "EventVars", "PageVars"].includes(c.name));
    this.scalars = this.columns.filter((c) => c.type !== "list");
    await duckdb(`CREATE OR REPLACE VIEW "rows" AS SELECT * FROM ${this.from}`);
    this.samples = new Map();
    for (const c of this.scalars) {
      const rows = await duckdb(`SELECT DISTINCT ${shown(c, `"${c.name}"`)} FROM "rows" WHERE "${c.name}" IS NOT NULL
        ORDER BY hash("${c.name}") LIMIT 40`);
      this.samples.set(c.name, rows.map((r) => r[0]).filter((v) => typeof v !== "string" || (!v.includes("\0") && v.length < 500)));
    }
    return this;
  }

  // literal returns a value that fits a column, for SQLite and for DuckDB.
  literal(c) {
    const v = pick(this.samples.get(c.name) ?? []) ?? { int: 0n, real: 0.5, bool: 1, time: "2026-10-01 00:00:00.000000", text: "" }[c.type];
    const text = `'${String(v).replaceAll("'", "''")}'`;
    if (c.type === "text") return [text, text];
    if (c.type === "bool") return [String(Number(v)), v ? "true" : "false"];
    if (c.type === "time") {
      const iso = `${v.replace(" ", "T")}Z`;
      return [pick([text, `'${iso}'`, `'${v.slice(0, 10)}T${v.slice(11)}+00:00'`]), `TIMESTAMPTZ '${iso}'`];
    }
    return c.type === "int" ? [String(v), `(${v})::BIGINT`] : [real(v), `(${real(v)})::DOUBLE`];
  }

  condition(alias, depth) {
    if (depth > 0 && random(2)) {
      const [a, b, op] = [this.condition(alias, depth - 1), this.condition(alias, depth - 1), pick(["AND", "OR"])];
      return a.map((_, i) => `(${a[i]} ${op} ${b[i]})`);
    }
    const c = pick(this.scalars);
    const name = `${alias}"${c.name}"`;
    const [a, b] = [this.literal(c), this.literal(c)];
    switch (random(6)) {
      case 0: return both(`${name} IS ${pick(["", "NOT "])}NULL`);
      case 1: return a.map((_, i) => `${name} BETWEEN ${a[i]} AND ${b[i]}`);
      case 2: return a.map((_, i) => `${name} IN (${a[i]}, ${b[i]})`);
      case 3: if (c.type === "text") return both(`substr(${name}, 1, 3) = substr(${a[0]}, 1, 3)`);
    }
    const op = pick(["=", "=", "<", "<=", ">", ">=", "<>"]);
    return a.map((v) => `${name} ${op} ${v}`);
  }

  // question returns SQL for SQLite and for DuckDB.
  question() {
    const where = random(5) ? this.condition("", 2).map((w) => ` WHERE ${w}`) : both("");
    const [c, d, g] = [pick(this.scalars), pick(this.scalars), pick(this.scalars)];
    const of = (fn, x) => [`${fn}("${x.name}")`, shown(x, `${fn}("${x.name}")`)];
    const group = [`"${g.name}"`, shown(g, `"${g.name}"`)];
    switch (random(6)) {
      case 0: {
        const some = [pick(this.columns), pick(this.columns), pick(this.columns)];
        return [`SELECT ${some.map((x) => `"${x.name}"`)} FROM rows${where[0]}`,
          `SELECT ${some.map((x) => shown(x, `"${x.name}"`))} FROM "rows"${where[1]}`];
      }
      case 1: case 2:
        return [0, 1].map((i) => `SELECT ${group[i]}, count(*), count(DISTINCT "${c.name}"), ${of("min", c)[i]}, ${of("max", d)[i]}
          FROM "rows"${where[i]} GROUP BY "${g.name}"`);
      case 3: {
        const keys = this.scalars.filter((x) => x.type === "int" || x.type === "text");
        const key = pick(keys).name;
        const on = this.condition("b.", 1);
        return [0, 1].map((i) => `SELECT count(*), count(b."${key}") FROM (SELECT * FROM "rows"${where[i]} ORDER BY "EventStart",
          "EventType", "${key}" LIMIT 40) a LEFT JOIN "rows" b ON a."${key}" = b."${key}" AND ${on[i]}`);
      }
      case 4:
        return [0, 1].map((i) => `SELECT DISTINCT ${group[i]} FROM "rows"${where[i]}`);
    }
    return [0, 1].map((i) => `SELECT count(*), count("${c.name}"), count(DISTINCT "${d.name}"), ${of("min", c)[i]}, ${of("max", c)[i]}
      FROM "rows"${where[i]}`);
  }
}

const both = (s) => [s, s];

// real returns a number as SQL that is a double.
const real = (v) => (/[.e]/.test(String(v)) ? String(v) : `${v}.0`);

// shown returns DuckDB's SQL for a value as SQLite shows it.
function shown(c, sql) {
  if (c.type === "time") return `strftime(${sql} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')`;
  if (c.type === "bool") return `(${sql})::BIGINT`;
  if (c.of.startsWith("TIMESTAMP")) return `to_json(list_transform(${sql}, lambda x: strftime(x AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')))::VARCHAR`;
  if (c.type === "list") return `to_json(${sql})::VARCHAR`;
  return sql;
}

// canonical returns a text, or what it means if it is JSON of a list.
function canonical(text) {
  if (!text.startsWith("text [")) return text;
  try {
    return `list ${JSON.stringify(parse(text.slice(5)), (_, v) => (v instanceof Num ? Number(v.text) : v))}`;
  } catch {
    return text;
  }
}

const lines = (rows) => rows.map((row) => row.map((v) => canonical(one(v))).join(" | ")).sort();

async function compare(table, [ours, theirs]) {
  let want;
  try {
    want = lines(await duckdb(theirs));
  } catch (e) {
    failures++;
    return console.log(`  DuckDB does not take ${theirs}: ${e.message.slice(0, 300)}`);
  }
  let got;
  try {
    got = lines(parse(run("query", table.name, ours, "--json", "--limit", "1000000")).rows);
  } catch (e) {
    failures++;
    return console.log(`  FAILED ${ours}\n  ${String(e.stderr ?? e).slice(0, 300)}`);
  }
  const i = got.findIndex((line, n) => line !== want[n]);
  if (got.length === want.length && i < 0) return want.length;
  failures++;
  console.log(`  DIFFERENT ${ours}\n  ${theirs}\n  ${got.length} rows, want ${want.length}: ${got[Math.max(i, 0)]?.slice(0, 300)}` +
    `\n  want ${want[Math.max(i, 0)]?.slice(0, 300)}`);
}

try {
  const data = join(dir, "zoo.ndjson");
  writeFileSync(data, zoo(3000));
  exported("shop", "--from", "2026-10-01", "--to", "2026-10-03", "--chunk", "6h", "--sandbox-density", "300");
  exported("zoo", "--from", "2026-10-01", "--to", "2026-10-02", "--sandbox-data", data, "--sandbox-state", join(dir, "state"));
  await duckdb("SET TimeZone = 'UTC'");
  console.log(`seed ${start}`);
  for (const name of ["shop", "zoo"]) {
    const table = await new Table(name).describe();
    let rows = 0;
    for (let i = 0; i < Number(count) / 2 && failures < 10; i++) rows += (await compare(table, table.question())) ?? 0;
    console.log(`${name}: ${Number(count) / 2} questions, ${table.columns.length} columns, ${rows} rows of answers`);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.log(failures ? `${failures} differences` : "no difference");
process.exit(failures ? 1 : 0);
