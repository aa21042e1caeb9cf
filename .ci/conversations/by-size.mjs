import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { notice, rowsIn } from "./model.mjs";

// Nothing is stored by which sizes could be known, so a sample comes first.
export default {
  words: "Everything that signed-in customers did in the last weeks of October, in files of about 5,000 rows.",
  calls: 5,
  bytes: 6150,

  before(world) {
    world.start("--sandbox-density", "100");
  },

  async hold(model) {
    const request = {
      segment_id: "Signed-in customers", type: "TYPE_EVENT", timezone: "Europe/Berlin",
      segment_time_range: { start: "all" },
    };
    const all = { ...request, time_range: { start: "2026-10-12", end: "2026-11-02" }, target_rows: 5000 };
    const dry = await model.call("start_bulk_export", { ...all, dry_run: true });
    assert.match(notice(dry, "sizes_unknown").fix, /a week by the day.*same target/);
    const week = { start: "2026-10-12", end: "2026-10-19" };
    const sample = await model.call("start_bulk_export", {
      ...request, time_range: week, chunk: "day", name: "sample",
    });
    const known = await model.call("get_bulk_export", { bulk_id: sample.bulk_id, wait_seconds: 20 });
    assert.equal(known.state, "complete", known.summary);
    const started = await model.call("start_bulk_export", { ...all, name: "customers" });
    const done = await model.call("get_bulk_export", { bulk_id: started.bulk_id, wait_seconds: 20 });

    assert.equal(done.state, "complete", done.summary);
    const names = readdirSync(done.folder).filter((name) => name.endsWith(".ndjson.gz")).sort();
    const rows = names.map((name) => rowsIn(join(done.folder, name)).length);
    const total = rows.reduce((a, b) => a + b, 0);
    assert.deepEqual([names.length, total], [started.chunks, done.rows]);
    assert(total > 20_000, `${rows}`);
    for (const n of rows) assert(n > 5000 / 1.25 && n < 5000 * 1.25, `${rows}`);
    assert(started.estimate.low < total && total < started.estimate.high, JSON.stringify(started.estimate));
    assert.match(names[0], /^20261011T220000Z_/);
    assert.match(names.at(-1), /_20261101T230000Z/);
  },
};
