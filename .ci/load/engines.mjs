// The databases that execute statements here. Each has run(sql, folder), rows(columns), which returns the rows of the
// table events with the name of the window first, and close(). A column is {name, type, list} as rows.mjs calls types.
// Values are texts, booleans, null or lists of them: integers in digits, times in microseconds, doubles as JavaScript
// writes them.
import { DuckDBInstance } from "@duckdb/node-api";
import chdb from "chdb";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Num, parse } from "../landing/rows.mjs";

// form returns a value that was read in the form that is compared.
export function form(column, v) {
  if (v === null || v === undefined) return null;
  if (Array.isArray(v)) return v.map((e) => form({ ...column, list: false }, e));
  const text = v instanceof Num ? v.text : v;
  return column.type === "real" ? String(Number(text)) : typeof text === "boolean" ? text : String(text);
}

const quote = (mark, name) => mark + name + mark;

export async function duckdb() {
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const db = await instance.connect();
  const plain = (v) =>
    v === null || typeof v !== "object" ? v : "items" in v ? v.items.map(plain) : v.micros;
  return {
    name: "duckdb",
    async run(text, folder) {
      const before = process.cwd();
      process.chdir(folder);
      try {
        await db.run(text);
      } finally {
        process.chdir(before);
      }
    },
    async rows(columns) {
      const names = columns.map((c) => quote('"', c.name));
      const read = await db.runAndReadAll(`SELECT ${['"_window"', ...names].join(", ")} FROM events`);
      return read.getRows().map(([window, ...row]) => [window, ...row.map((v, i) => form(columns[i], plain(v)))]);
    },
    close: () => db.closeSync(),
  };
}

export function clickhouse(dir) {
  const session = new chdb.Session(join(dir, "clickhouse"));
  // Tables of files below a folder need no server; the rest of the statements is as they are written.
  const local = (text, folder) =>
    text.replaceAll("s3('https://BUCKET.s3.amazonaws.com/PREFIX/", `file('${folder}/parquet/`);
  return {
    name: "clickhouse",
    run(text, folder) {
      for (const one of local(text, folder).replace(/^--.*$/gm, "").split(/;\n/)) if (one.trim()) session.query(one);
    },
    rows(columns) {
      const names = columns.map(({ name, type, list }) => {
        const column = quote("`", name);
        if (type !== "date") return column;
        return list ? `arrayMap(x -> toUnixTimestamp64Micro(x), ${column})` : `toUnixTimestamp64Micro(${column})`;
      });
      const text = session.query(`SELECT _window, ${names.join(", ")} FROM events
        SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 0`, "JSONCompactEachRow");
      return text.split("\n").filter(Boolean).map(parse)
        .map(([window, ...row]) => [window, ...row.map((v, i) => form(columns[i], v))]);
    },
    close: () => session.cleanup(),
  };
}

// postgresql needs psql, and a program called fullstory-export-mcp in bin.
export function postgresql(address, dir, bin) {
  const schema = `load_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, PGOPTIONS: `-c search_path=${schema} -c client_min_messages=warning` };
  const psql = (text, cwd = dir) => {
    const file = join(dir, "statements.sql");
    writeFileSync(file, text);
    return execFileSync("psql", [address, "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", file],
      { cwd, env, encoding: "utf8", maxBuffer: 1 << 28, timeout: 30_000 });
  };
  psql(`CREATE SCHEMA ${schema}`);
  return {
    name: "postgresql",
    run: psql,
    rows(columns) {
      const micros = (of) => `(extract(epoch FROM ${of}) * 1000000)::numeric(20)`;
      const names = columns.map(({ name, type, list }, i) => {
        const column = quote('"', name.toLowerCase());
        if (type !== "date") return `${column} AS c${i}`;
        if (!list) return `${micros(column)} AS c${i}`;
        return `CASE WHEN ${column} IS NOT NULL THEN ARRAY(SELECT ${micros("u.x")} FROM unnest(${column})
          WITH ORDINALITY AS u(x, n) ORDER BY n) END AS c${i}`;
      });
      return psql(`SELECT row_to_json(r) FROM (SELECT _window, ${names.join(", ")} FROM events) AS r`)
        .split("\n").filter(Boolean).map(parse)
        .map(({ _window, ...row }) => [_window, ...columns.map((c, i) => form(c, row[`c${i}`]))]);
    },
    close: () => psql(`DROP SCHEMA ${schema} CASCADE`),
  };
}
