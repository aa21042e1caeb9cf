import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import looked from "./looked.mjs";
import { rowsIn } from "./model.mjs";

// The user asks for what only the rows together can say.
export default {
  words: "On which pages did people rage-click most on Wednesday, 7 October, and how many people were that?",
  calls: 3,
  bytes: 5200,

  before: looked.before,

  async hold(model, world, before) {
    const { bulks } = await model.call("list_bulk_exports");
    const source = bulks[0].name;
    const seen = await model.call("describe_export", { source, time_range: "2026-10-07" });
    for (const c of ["EventModFrustrated", "PageUrl", "IndvId"]) assert(seen.column_names.includes(c), c);
    const answer = await model.call("query_export", {
      source,
      sql: "SELECT PageUrl, count(*) AS clicks, count(DISTINCT IndvId) AS people FROM rows " +
        "WHERE day = '2026-10-07' AND EventModFrustrated = 1 GROUP BY PageUrl ORDER BY clicks DESC, PageUrl LIMIT 5",
    });

    const name = readdirSync(before.folder).find((n) => n.startsWith("20261007T"));
    const pages = new Map();
    for (const r of rowsIn(join(before.folder, name)).filter((r) => r.EventModFrustrated === 1)) {
      const url = r.PageUrl ?? null; // a mobile app has none
      const page = pages.get(url) ?? { clicks: 0, people: new Set() };
      page.clicks++;
      page.people.add(r.IndvId);
      pages.set(url, page);
    }
    const want = [...pages].map(([url, p]) => [url, p.clicks, p.people.size])
      .sort((a, b) => b[1] - a[1] || ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1)).slice(0, 5);
    assert(want.length > 0, "the day has no rage clicks");
    assert.deepEqual(answer.columns, ["PageUrl", "clicks", "people"]);
    assert.deepEqual(answer.rows, want);
  },
};
