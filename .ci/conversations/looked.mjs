import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { rowsIn } from "./model.mjs";

// Two weeks are stored, and the user asks about a Wednesday in them.
export default {
  words: "How many rage clicks were there on Wednesday, 7 October, and which columns are there?",
  calls: 2,
  bytes: 4800,

  async before(world) {
    world.start("--sandbox-density", "100");
    const earlier = await world.model();
    const { bulk_id } = await earlier.call("start_bulk_export", {
      segment_id: "everyone", type: "TYPE_EVENT", time_range: { start: "2026-10-01/P14D" }, name: "early-october",
    });
    const done = await earlier.call("get_bulk_export", { bulk_id, wait_seconds: 20 });
    await earlier.end();
    assert.equal(done.state, "complete", done.summary);
    return done;
  },

  async hold(model, world, before) {
    const { bulks } = await model.call("list_bulk_exports");
    const seen = await model.call("describe_export", { source: bulks[0].name, time_range: "2026-10-07" });

    const name = readdirSync(before.folder).find((n) => n.startsWith("20261007T"));
    const rows = rowsIn(join(before.folder, name));
    const clicks = rows.filter((r) => r.EventModFrustrated === 1).length;
    assert(clicks > 0, "the day has no rage clicks");
    assert.deepEqual([seen.rows, seen.frustration.rage_clicks], [rows.length, clicks]);
    const columns = new Set(rows.flatMap((r) => Object.keys(r)));
    assert.equal(seen.column_count, columns.size);
    assert.deepEqual(seen.column_names.filter((c) => !columns.has(c)), []);
    assert.equal(seen.column_names.length, columns.size);
  },
};
