import assert from "node:assert/strict";
import { saved, withSaving } from "./fullstory.mjs";
import { rowsIn } from "./model.mjs";

// The conversation found people with Fullstory's own MCP server, which saved them as a
// segment. Another user listed the segments a moment before, so that list is remembered.
export default {
  words: "(the prompt export_what_we_found, with the segment's link and last_7_days) Yes, start it.",
  http: true,
  calls: 4,
  bytes: 6100,

  async before(world) {
    await world.startApart();
    const fullstory = await withSaving(world.api);
    world.atEnd(fullstory.close);
    world.reach(fullstory.url);
    const other = await world.model(true);
    const listed = await other.call("list_segments", { limit: 100 });
    assert(!listed.segments.some((s) => s.id === saved.id));
    fullstory.save();
  },

  async hold(model, world) {
    const link = `${saved.url}/people:search`;
    const prompt = await model.prompt("export_what_we_found", { segment_id: link, period: "last_7_days" });
    assert(prompt.includes(link));
    // The steps of the prompt.
    const { segments } = await model.call("list_segments", { query: link });
    assert.deepEqual(segments.map((s) => s.name), [saved.name]);
    const request = {
      segment_id: segments[0].id, type: "TYPE_INDIVIDUAL", time_range: { start: "last_7_days" },
      segment_time_range: { start: "range" },
    };
    const dry = await model.call("create_segment_export", { ...request, dry_run: true });
    assert.match(dry.summary, /^Nothing was started. This would export individuals of segment "Raged at /);
    assert.equal(dry.today, new Date().toISOString().slice(0, 10));
    assert(dry.warnings.every((w) => w.level !== "blocker"), JSON.stringify(dry.warnings));
    const made = await model.call("create_segment_export", request);
    const got = await model.call("download_export", { operation_id: made.operation_id, wait_seconds: 20 });

    assert.equal(got.state, "stored", got.summary);
    assert.deepEqual(made.export, dry.export);
    assert.deepEqual(made.export.segment_time_range, made.export.time_range);
    const { start, end } = made.export.time_range;
    assert.equal(Date.parse(end) - Date.parse(start), 7 * 86_400_000);
    const answer = await fetch(got.file_url, { headers: { Range: "bytes=0-" } });
    assert.equal(answer.status, 206);
    const people = rowsIn(Buffer.from(await answer.arrayBuffer())).map((r) => r.IndvId);
    assert(people.length > 0 && people.length === got.rows && new Set(people).size === got.rows);
    assert.equal((await world.fullstory("/sandbox/stats")).creates_accepted, 1);
  },
};
