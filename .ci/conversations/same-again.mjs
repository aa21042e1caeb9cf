import assert from "node:assert/strict";
import { rowsIn } from "./model.mjs";

// An earlier conversation exported the sessions of a segment over its own window.
export default {
  words: "The same export as last time, but only with time, page and session.",
  calls: 3,
  bytes: 3530,

  async before(world) {
    world.start();
    const earlier = await world.model();
    const made = await earlier.call("create_segment_export", {
      segment_id: "Abandoned carts", type: "TYPE_SESSIONS", time_range: { start: "2026-10-30" },
      timezone: "America/New_York",
    });
    const last = await earlier.call("download_export", { operation_id: made.operation_id, wait_seconds: 20 });
    await earlier.end();
    return last;
  },

  async hold(model, world, last) {
    const { operations } = await model.call("list_export_operations");
    assert.equal(operations.length, 1);
    assert.equal(operations[0].export.segment_name, "Abandoned carts");
    const fields = ["EventStart", "PageUrl", "SessionId"];
    const made = await model.call("create_segment_export", {
      like_operation_id: operations[0].operation_id, fields,
    });
    assert.deepEqual(made.export, { ...operations[0].export, fields });
    const got = await model.call("download_export", {
      operation_id: made.operation_id, wait_seconds: 20, columns: true,
    });
    assert.equal(got.state, "stored", got.summary);

    assert.deepEqual(got.columns.sort(), [...fields].sort());
    const rows = rowsIn(got.path);
    assert.deepEqual([rows.length, got.rows], [last.rows, last.rows]);
    assert(rows.every((r) => Object.keys(r).every((name) => fields.includes(name))));
    const times = (path) => rowsIn(path).map((r) => r.EventStart).sort();
    assert.deepEqual(times(got.path), times(last.path));
    assert.deepEqual(made.export.time_range, { start: "2026-10-30T04:00:00Z", end: "2026-10-31T04:00:00Z" });
  },
};
