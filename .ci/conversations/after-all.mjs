import assert from "node:assert/strict";
import { rowsIn } from "./model.mjs";

// The export takes long enough to be cancelled.
export default {
  words: "Export the newsletter readers' visits of 28 October. No, stop it. Do it after all.",
  calls: 4,
  bytes: 4200,

  before(world) {
    world.start("--sandbox-op-time", "4s");
  },

  async hold(model) {
    const first = await model.call("create_segment_export", {
      segment_id: "Newsletter readers", type: "TYPE_SESSIONS", time_range: { start: "2026-10-28" },
    });
    const stopped = await model.call("cancel_export_operation", { operation_id: first.operation_id });
    assert.match(stopped.summary, /cancelled/);
    assert.match(stopped.next, /like_operation_id/);
    const second = await model.call("create_segment_export", { like_operation_id: first.operation_id });
    assert.equal(second.reused, false);
    assert.notEqual(second.operation_id, first.operation_id);
    assert.deepEqual(second.export, first.export);
    const got = await model.call("download_export", { operation_id: second.operation_id, wait_seconds: 20 });

    assert.equal(got.state, "stored", got.summary);
    const rows = rowsIn(got.path);
    assert(rows.length > 0 && rows.length === got.rows);
    assert(rows.every((r) => r.EventStart.startsWith("2026-10-28T")));
  },
};
