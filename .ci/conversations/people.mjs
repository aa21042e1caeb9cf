import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { notice, rowsIn } from "./model.mjs";

// The server is on another machine, so the user needs a link to the file.
export default {
  words: "Export everyone of October. I mean the people, one line each.",
  http: true,
  calls: 3,
  bytes: 4480,

  before(world) {
    world.start("--sandbox-density", "100");
  },

  async hold(model) {
    const october = { segment_id: "everyone", time_range: { start: "2026-10" } };
    const dry = await model.call("start_bulk_export", { ...october, type: "TYPE_EVENT", dry_run: true });
    assert.match(notice(dry, "individuals_or_events").fix, /TYPE_INDIVIDUAL gives one row for each person/);
    const made = await model.call("create_segment_export", { ...october, type: "TYPE_INDIVIDUAL" });
    assert.equal(made.rows, "individuals");
    const got = await model.call("download_export", { operation_id: made.operation_id, wait_seconds: 20 });
    assert.equal(got.state, "stored", got.summary);
    assert.match(got.summary, /file_url/);

    const answer = await fetch(got.file_url);
    assert.equal(answer.status, 200);
    const file = Buffer.from(await answer.arrayBuffer());
    assert.equal(createHash("sha256").update(file).digest("hex"), got.sha256);
    const people = rowsIn(file).map((r) => r.IndvId);
    assert(people.length > 0 && people.length === got.rows);
    assert.equal(new Set(people).size, people.length, "a person has several rows");
    assert.deepEqual(made.export.time_range, { start: "2026-10-01T00:00:00Z", end: "2026-11-01T00:00:00Z" });
  },
};
