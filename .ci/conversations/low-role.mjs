import assert from "node:assert/strict";
import { notice } from "./model.mjs";

// The key's role may look, but not export.
export default {
  words: "What would an export of yesterday's pages with errors be? Then start it.",
  calls: 2,
  bytes: 1620,

  async before(world) {
    await world.startApart("standard");
  },

  async hold(model, world) {
    const request = {
      segment_id: "Visitors with errors", type: "TYPE_PAGES", time_range: { start: "yesterday" },
    };
    const dry = await model.call("create_segment_export", { ...request, dry_run: true });
    assert.match(dry.summary, /This would be rejected/);
    assert.equal(notice(dry, "role_too_low").level, "blocker");
    assert.equal(dry.warnings[0].code, "role_too_low");
    assert.doesNotMatch(dry.next, /without `dry_run`/);
    const text = await model.rejected("create_segment_export", request);
    assert.match(text, /role|permission/);
    assert.match(text, /[Aa]dministrator/);

    const stats = await world.fullstory("/sandbox/stats");
    assert.deepEqual([stats.creates_accepted, stats.downloads], [0, 0]);
  },
};
