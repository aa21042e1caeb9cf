import assert from "node:assert/strict";
import { rowsIn } from "./model.mjs";

// Fullstory rejects the first requests of each kind with 429, once with 503.
const faults = {
  script: [
    { on: "create", nth: 1, do: "429" }, { on: "create", nth: 2, do: "429_no_retry_after" },
    { on: "segments", nth: 1, do: "429" }, { on: "status", nth: 1, do: "503" },
    { on: "list", nth: 1, do: "429" }, { on: "results", nth: 1, do: "429" },
  ],
};

export default {
  words: "Yesterday's visits with a checkout, while Fullstory throttles us.",
  calls: 2,
  bytes: 2560,

  async before(world) {
    await world.startApart();
    await world.fullstory("/sandbox/faults", faults);
  },

  async hold(model, world) {
    const made = await model.call("create_segment_export", {
      segment_id: "Checkout visitors", type: "TYPE_SESSIONS", time_range: { start: "yesterday" },
    });
    const got = await model.call("download_export", { operation_id: made.operation_id, wait_seconds: 20 });

    assert.equal(got.state, "stored", got.summary);
    const rows = rowsIn(got.path);
    assert(rows.length > 0 && rows.length === got.rows);
    const { start, end } = made.export.time_range;
    assert.equal(Date.parse(end) - Date.parse(start), 86_400_000);
    assert(rows.every((r) => r.EventStart >= start.slice(0, 19) && r.EventStart < end));
    const { by_segment: of } = await world.fullstory("/sandbox/stats");
    assert.deepEqual([of.tz81RtIU1Rw8.creates, of.tz81RtIU1Rw8.creates_accepted], [3, 1]);
  },
};
