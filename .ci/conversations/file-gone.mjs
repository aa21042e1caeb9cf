import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rowsIn } from "./model.mjs";

const sum = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

// Two weeks were exported, and somebody deleted a file since.
export default {
  words: "Is my backup of early October still complete? If not, repair it.",
  calls: 3,
  bytes: 3000,

  async before(world) {
    world.start("--sandbox-density", "100");
    const earlier = await world.model();
    const { bulk_id } = await earlier.call("start_bulk_export", {
      segment_id: "everyone", type: "TYPE_EVENT", time_range: { start: "2026-10-01/P14D" }, name: "early-october",
    });
    const done = await earlier.call("get_bulk_export", { bulk_id, wait_seconds: 20 });
    await earlier.end();
    assert.equal(done.state, "complete", done.summary);
    const file = readdirSync(done.folder).find((name) => name.startsWith("20261006T"));
    const before = { ...done, file: join(done.folder, file), sum: sum(join(done.folder, file)) };
    rmSync(before.file);
    return before;
  },

  async hold(model, world, before) {
    const { bulks } = await model.call("list_bulk_exports");
    assert.equal(bulks.length, 1);
    assert.equal(bulks[0].state, "partial");
    assert.match(bulks[0].summary, /13 of 14 files; missing: 6 Oct.*retry_failed/);
    await model.call("control_bulk_export", { bulk_id: bulks[0].bulk_id, action: "retry_failed" });
    const done = await model.call("get_bulk_export", { bulk_id: bulks[0].bulk_id, wait_seconds: 20 });

    assert.equal(done.state, "complete", done.summary);
    assert.equal(sum(before.file), before.sum, "the file differs from the deleted one");
    const files = readdirSync(done.folder).filter((name) => name.endsWith(".ndjson.gz"));
    assert.equal(files.length, 14);
    const rows = files.reduce((n, name) => n + rowsIn(join(done.folder, name)).length, 0);
    assert.deepEqual([rows, done.rows], [before.rows, before.rows]);
  },
};
