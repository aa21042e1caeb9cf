// Reads the Delta table of a folder with ClickHouse, again and again, and prints a JSON line each time, until it is
// interrupted. TestLandingKillLoop starts it:
//
//   go test ./command -run LandingKillLoop -outside "node $PWD/.ci/delta/poll.mjs"
import { Session } from "chdb";

const folder = process.argv[2];
process.chdir(folder); // ClickHouse reads no files above it
let ended = false;
process.on("SIGINT", () => { ended = true; });
const clickhouse = new Session();
while (!ended) {
  const sql = `SELECT count() AS rows, uniqExact(_file) AS files, countIf(EventStart IS NULL) AS nulls FROM deltaLakeLocal('${folder}')`;
  try {
    const [[rows, files, nulls]] = JSON.parse(clickhouse.query(sql, "JSONCompactStrings")).data;
    console.log(JSON.stringify({ rows: Number(rows), files: Number(files), nulls: Number(nulls) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error).slice(0, 300) }));
  }
  await new Promise((resolve) => setTimeout(resolve, 20)); // lets the signal in
}
