// Two readers of Parquet that have no code in common. Each returns the columns of a file,
// in order, and its rows as arrays: integers and times (microseconds) as bigint.
import { DuckDBInstance } from "@duckdb/node-api";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";

const db = await (await DuckDBInstance.create(":memory:", { threads: "2" })).connect();

// sql returns the rows of a query of DuckDB.
export const sql = async (query) => (await db.runAndReadAll(query)).getRows().map((row) => row.map(plain));

// plain returns a value of DuckDB as one of JavaScript.
function plain(v) {
  if (v === null || typeof v !== "object") return v;
  return "items" in v ? v.items.map(plain) : v.micros;
}

export async function duckdb(file) {
  const columns = (await sql(`DESCRIBE SELECT * FROM read_parquet('${file}', hive_partitioning = false)`)).map((c) => c[0]);
  return { columns, rows: await sql(`SELECT * FROM read_parquet('${file}', hive_partitioning = false)`) };
}

export async function hyparquet(file) {
  const source = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(source);
  const columns = parquetSchema(metadata).children.map((c) => c.element.name);
  const parsers = { timestampFromMicroseconds: (t) => t };
  const objects = await parquetReadObjects({ file: source, metadata, compressors, parsers });
  const meta = Object.fromEntries(metadata.key_value_metadata.map((m) => [m.key, m.value]));
  return { columns, rows: objects.map((o) => columns.map((c) => o[c] ?? null)), meta };
}
