import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { notice, rowsIn } from "./model.mjs";

const hour = 3_600_000;

// filesOf returns the files of a folder with the window in their names, and checks that
// the rows of each are inside.
function filesOf(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(".ndjson.gz")).sort();
  return names.map((name) => {
    const [start, end] = name.match(/\d{8}T\d{6}Z/g).map((t) =>
      Date.parse(t.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z")));
    const rows = rowsIn(join(folder, name)).map((r) => Date.parse(r.EventStart));
    assert(rows.every((t) => t >= start && t < end), `${name} has rows outside its window`);
    return { start, end, rows: rows.length };
  });
}

// October begins more than 30 days ago, and has a day of 25 hours in Berlin.
export default {
  words: "The rage clicks of October, Berlin time, a file a day. Of everybody who raged in October. " +
    "Now once more with the segment as it is saved.",
  calls: 5,
  bytes: 7200,

  before(world) {
    world.start("--sandbox-density", "50");
  },

  async hold(model) {
    const request = {
      segment_id: "Rage clickers", type: "TYPE_EVENT", time_range: { start: "2026-10" }, timezone: "Europe/Berlin",
    };
    const dry = await model.call("start_bulk_export", { ...request, dry_run: true });
    assert.match(dry.summary, /would be rejected/);
    assert.match(notice(dry, "segment_window_required").fix, /"range".*"own"/);
    assert.doesNotMatch(dry.next, /without `dry_run`/);
    const started = await model.call("start_bulk_export", { ...request, segment_time_range: { start: "range" } });
    assert.equal(started.chunks, 31);
    const whole = await model.call("get_bulk_export", { bulk_id: started.bulk_id, wait_seconds: 20 });
    assert.equal(whole.state, "complete", whole.summary);
    assert.match(whole.summary, /from 2026-10-01T00:00:00\+02:00 to 2026-11-01T00:00:00\+01:00 \(excluded\)/);
    const again = await model.call("start_bulk_export", {
      like_bulk_id: started.bulk_id, segment_time_range: { start: "own" },
    });
    const own = await model.call("get_bulk_export", { bulk_id: again.bulk_id, wait_seconds: 20 });
    assert.equal(own.state, "complete", own.summary);

    const files = filesOf(whole.folder);
    assert.equal(files.length, 31);
    assert.equal(files[0].start, Date.parse("2026-09-30T22:00:00Z"));
    assert.equal(files[30].end, Date.parse("2026-10-31T23:00:00Z"));
    files.forEach((f, i) => {
      assert.equal(f.end - f.start, (i === 24 ? 25 : 24) * hour, `October ${i + 1}`);
      if (i > 0) assert.equal(f.start, files[i - 1].end);
    });
    const rows = (list) => list.reduce((n, f) => n + f.rows, 0);
    assert.equal(rows(files), whole.rows);
    // The saved window is the last 30 days, so the first days of October are empty.
    const saved = filesOf(own.folder);
    assert.equal(rows(saved), own.rows);
    assert.deepEqual(saved.slice(0, 5).map((f) => f.rows), [0, 0, 0, 0, 0]);
    assert.deepEqual(saved.slice(7).map((f) => f.rows), files.slice(7).map((f) => f.rows));
    assert(rows(files.slice(0, 5)) > 0);
  },
};
