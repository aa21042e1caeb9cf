import assert from "node:assert/strict";
import { rowsIn } from "./model.mjs";

// A job of the warehouse started an export of its own, of three days ago.
export default {
  words: "Something of ours started an export at Fullstory. What is it, and can I have its file?",
  calls: 2,
  bytes: 1190,

  async before(world) {
    await world.startApart();
    const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10) + "T00:00:00Z";
    const range = { start: day(3), end: day(2) };
    await world.fullstory("/segments/v1/exports", {
      segmentId: "everyone", type: "TYPE_EVENT", format: "FORMAT_NDJSON", timeRange: range, segmentTimeRange: range,
    });
    return range;
  },

  async hold(model, world, range) {
    const { summary, operations } = await model.call("list_export_operations");
    assert.match(summary, /[Ss]tarted by another client, and their segment is not told: 1/);
    assert.equal(operations.length, 1);
    assert.equal(operations[0].known, false);
    assert.equal(operations[0].export, undefined);
    const { operation_id } = operations[0];
    const got = await model.call("download_export", { operation_id, wait_seconds: 20 });
    assert.equal(got.state, "stored", got.summary);
    assert.match(got.summary, /started by another client; its segment is not told/);
    assert(got.summary.includes(`Its events are from ${got.first_event} to ${got.last_event};`), got.summary);

    const times = rowsIn(got.path).map((r) => Date.parse(r.EventStart)).sort((a, b) => a - b);
    assert.equal(times.length, got.rows);
    assert.deepEqual([Date.parse(got.first_event), Date.parse(got.last_event)], [times[0], times.at(-1)]);
    assert(times[0] >= Date.parse(range.start) && times.at(-1) < Date.parse(range.end));
    assert.equal((await world.fullstory("/sandbox/stats")).creates_accepted, 1, "something else was exported");
  },
};
