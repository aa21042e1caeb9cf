// Parses the statements of every database with the dialect of that. What the parser does not know is replaced by the
// form next to it that it knows, here and nowhere else: each of these is in the manual of its database.
import { Dialect, parse } from "@polyglot-sql/sdk";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const dialects = {
  bigquery: Dialect.BigQuery, snowflake: Dialect.Snowflake, redshift: Dialect.Redshift, databricks: Dialect.Databricks,
  clickhouse: Dialect.ClickHouse, duckdb: Dialect.DuckDB, postgresql: Dialect.PostgreSQL,
};

const unknown = {
  bigquery: [[/DROP EXTERNAL TABLE/g, "DROP TABLE"]],
  databricks: [[/INSERT WITH SCHEMA EVOLUTION INTO/g, "INSERT INTO"], [/BY NAME REPLACE WHERE/g, "REPLACE WHERE"]],
  postgresql: [[/^\\copy (.*) FROM PROGRAM '.*' WITH/gm, "COPY $1 FROM 'file' WITH"],
    [/^(COPY .*[^;])$/gm, "$1;"]],
};

// The statements of a file, by the names of the parser. Those that it reads as any command at all are named here.
const commands = { redshift: /^CALL /, clickhouse: /^EXCHANGE TABLES / };

// parseAll parses the statements of a folder, with marks filled for a file.
export function parseAll(folder, file, fail) {
  const at = join(folder, "parquet/load");
  let count = 0;
  for (const name of readdirSync(at).sort()) {
    const engine = name.split("-")[0];
    let text = readFileSync(join(at, name), "utf8").replaceAll("{{window}}", file.split("/")[1].replace(".parquet", ""))
      .replaceAll("{{path}}", file);
    for (const [from, to] of unknown[engine] ?? []) text = text.replace(from, to);
    const parsed = parse(text, dialects[engine]);
    if (!parsed.success) {
      fail(`${name}: ${parsed.error}`);
      continue;
    }
    const trees = typeof parsed.ast === "string" ? JSON.parse(parsed.ast) : parsed.ast;
    for (const tree of trees) {
      const said = JSON.stringify(tree.command ?? "");
      if (tree.command && !commands[engine]?.test(tree.command.this ?? said)) fail(`${name}: not understood: ${said.slice(0, 200)}`);
    }
    count += trees.length;
  }
  // A parser that accepts everything would prove nothing.
  for (const [engine, dialect] of Object.entries(dialects)) {
    for (const bad of ["CREATE TABLE t (a", "INSERT INTO t (a, b SELECT 1", "DELETE t WHERE"]) {
      if (parse(bad, dialect).success) fail(`the parser accepts for ${engine}: ${bad}`);
    }
  }
  console.log(`${count} statements of ${Object.keys(dialects).length} databases are parsed`);
}
