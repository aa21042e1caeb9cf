// Executes the statements of docs/loading.md against an export of the sandbox, and compares what the databases have with
// the files and their manifest: rows, sums of 64-bit ids, first and last times, an amount of a custom column. Every load
// is done twice. Decoys in .superseded/ and .rejected/ must not be read, and a changed file replaces only its window.
//
//     node check.mjs PROGRAM POSTGRES_ADDRESS
import { DuckDBInstance } from '@duckdb/node-api'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'

const [program, database] = process.argv.slice(2)
if (!database) throw new Error('usage: node check.mjs PROGRAM POSTGRES_ADDRESS')

const page = readFileSync(fileURLToPath(new URL('../../docs/loading.md', import.meta.url)), 'utf8')
const blocks = (info) =>
  [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].filter((m) => m[1] === info).map((m) => m[2])

const home = mkdtempSync(join(tmpdir(), 'loading-'))
mkdirSync(join(home, 'bin'))
symlinkSync(resolve(program), join(home, 'bin/fullstory-export-mcp'))
const env = {
  PATH: `${join(home, 'bin')}:${process.env.PATH}`, HOME: home, DATABASE_URL: database, FULLSTORY_SANDBOX: '1',
  FULLSTORY_SANDBOX_OP_TIME: '20ms', FULLSTORY_SANDBOX_DENSITY: '200', FULLSTORY_SANDBOX_NOW: '2026-11-25T12:00:00Z',
}
const shell = (script, cwd = process.cwd()) => execFileSync('sh', ['-euc', script], { cwd, env, encoding: 'utf8' })

/** What a file has, read here: ids as BigInt from the digits, since JSON.parse rounds them. */
function content(path) {
  const lines = gunzipSync(readFileSync(path)).toString().split('\n').filter(Boolean)
  const times = lines.map((line) => Date.parse(JSON.parse(line).EventStart)).sort((a, b) => a - b)
  const sum = (name) => lines.reduce((all, line) => all + BigInt(line.match(`"${name}":(\\d+)`)[1]), 0n)
  const orders = lines.map((line) => JSON.parse(line)).filter((row) => row.EventCustomName === 'Order Completed')
  return {
    rows: lines.length, users: sum('UserId'), sessions: sum('SessionId'), first: times[0], last: times.at(-1),
    orders: orders.length, total: orders.reduce((all, row) => all + row['evt_order.total_real'], 0),
  }
}

/** What the files of the folder have, by name; it must agree with the manifest. */
function expected() {
  const manifest = JSON.parse(readFileSync('september/manifest.json', 'utf8'))
  return new Map(manifest.files.map((file) => {
    const found = content(join('september', file.name))
    assert.deepEqual([found.rows, found.first, found.last],
      [file.rows, Date.parse(file.first_event), Date.parse(file.last_event)], file.name)
    return [file.name, found]
  }))
}

/** Compares what a database has with what it should have. rows and orders are what its queries returned. */
function compare(name, want, rows, orders) {
  assert.equal(rows.length, want.size, `${name}: files`)
  for (const row of rows) {
    const file = want.get(row.file)
    assert.ok(file, `${name}: ${row.file}`)
    assert.deepEqual(
      [Number(row.rows), BigInt(row.users), BigInt(row.sessions), Number(row.first), Number(row.last)],
      [file.rows, file.users, file.sessions, file.first, file.last], `${name}: ${row.file}`)
  }
  const days = [...want.values()].filter((file) => file.orders > 0)
  assert.deepEqual(orders.map((o) => Number(o.orders)), days.map((file) => file.orders), `${name}: orders`)
  orders.forEach((o, i) => assert.ok(Math.abs(Number(o.total) - days[i].total) < 0.001, `${name}: total of ${o.day}`))
}

const first = '20260901T000000Z_20260902T000000Z.ndjson.gz'

/** Takes the last row out of the file of the first window, and returns what puts it back. */
function shorten() {
  const path = join('september', first)
  const whole = readFileSync(path)
  writeFileSync(path, gzipSync(gunzipSync(whole).toString().trimEnd().split('\n').slice(0, -1).join('\n') + '\n'))
  return () => writeFileSync(path, whole)
}

async function duckdb(want) {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects()
  const [create, load, query, missing] = blocks('sql duckdb')
  await connection.run(create)
  const check = async (want) => compare('duckdb', want, await rows(
    `SELECT file, count(*) AS rows, sum(UserId) AS users, sum(SessionId) AS sessions, epoch_ms(min(EventStart)) AS first,
     epoch_ms(max(EventStart)) AS last FROM events GROUP BY file ORDER BY file`), await rows(query))
  for (let time = 0; time < 2; time++) {
    await connection.run(load)
    await check(want)
    assert.equal((await rows(missing)).length, 0, 'duckdb: rows that the manifest has and the table has not')
  }
  const restore = shorten()
  await connection.run(load.replace('2*.ndjson.gz', first))
  assert.deepEqual((await rows(missing)).map((r) => r.name), [first], 'duckdb: a shorter file is found')
  await check(new Map([...want, [first, content(join('september', first))]]))
  restore()
  await connection.run(load.replace('2*.ndjson.gz', first))
  await check(want)
}

function postgresql(want) {
  const [create, query] = blocks('sql postgresql')
  const load = blocks('sh').at(-1)
  const rows = (sql) => {
    writeFileSync('query.sql', `SELECT coalesce(json_agg(found), '[]') FROM (${sql.trim().replace(/;$/, '')}) AS found;`)
    return JSON.parse(shell('psql "$DATABASE_URL" -qAt -v ON_ERROR_STOP=1 -f query.sql'))
  }
  writeFileSync('create.sql', create)
  writeFileSync('load.sql', blocks('sql load.sql')[0])
  const drop = () => shell('psql "$DATABASE_URL" -q -c "DROP TABLE IF EXISTS events" 2>/dev/null')
  drop()
  shell('psql "$DATABASE_URL" -q -v ON_ERROR_STOP=1 -f create.sql')
  const check = (want) => compare('postgresql', want, rows(
    `SELECT file, count(*) AS rows, sum(user_id)::text AS users, sum(session_id)::text AS sessions,
     round(extract(epoch FROM min(event_start)) * 1000) AS first, round(extract(epoch FROM max(event_start)) * 1000) AS last
     FROM events GROUP BY file ORDER BY file`), rows(query))
  for (let time = 0; time < 2; time++) {
    shell(load)
    check(want)
  }
  const restore = shorten()
  shell(load.replace('2*.ndjson.gz', first))
  check(new Map([...want, [first, content(join('september', first))]]))
  restore()
  shell(load.replace('2*.ndjson.gz', first))
  check(want)

  // U+0000 is removed, and a backslash before the letters u0000 is text.
  mkdirSync('odd')
  writeFileSync('odd/20270101T000000Z_20270102T000000Z.ndjson.gz',
    gzipSync('{"EventStart":"2027-01-01T00:00:00","EventType":"a\\u0000b\\\\u0000\\"\\t"}\n'))
  shell(load.replace('september/', 'odd/'))
  const [odd] = rows("SELECT event_type, event_start = '2027-01-01T00:00:00Z' AS utc FROM events WHERE file LIKE '2027%'")
  drop()
  assert.deepEqual(odd, { event_type: 'ab\\u0000"\t', utc: true })
}

try {
  shell(blocks('sh')[0], home)
  process.chdir(join(home, 'fullstory-exports'))
  const want = expected()
  for (const folder of ['.superseded', '.rejected']) {
    mkdirSync(join('september', folder))
    copyFileSync(join('september', first), join('september', folder, '2' + first))
  }
  await duckdb(want)
  postgresql(want)
  const total = [...want.values()].reduce((all, file) => all + file.rows, 0)
  console.log(`docs/loading.md: ${want.size} files with ${total} rows are the same in DuckDB and PostgreSQL, loaded twice`)
} finally {
  rmSync(home, { recursive: true, force: true })
}
