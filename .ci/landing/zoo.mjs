// Rows of events with every type of custom variable and values that do not fit.
const times = ['"2026-10-01T10:00:00Z"', '"2026-10-01T10:00:00.123456Z"', '"2026-10-01T10:00:00.1234567Z"',
  '"2026-10-01T12:00:00.5+02:00"', '"2026-02-30T00:00:00Z"', '"0001-01-01T00:00:00Z"', '"0000-12-31T00:00:00Z"',
  '"9999-12-31T23:59:59.999999Z"', '"soon"', "5"];
const numbers = ["0", "-0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808",
  "9223372036854775808", "1e3", "4.0", "0.1", "1e400", "-2.5e-7", "1.7976931348623157e308", "9".repeat(400), '"7"', "true"];
const texts = ['""', '"text"', '"Größe 😀 \\u00e9 \\"q\\" \\\\ \\n\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', "1", "true", '["a"]',
  '{"a":{"b":[1,"\\ud800"]}}', `"${"long ".repeat(5000)}"`];
const lists = ["[]", "[null]", '["a","😀",null]', "[1,-2,9007199254740993]", "[1.5,null,2]", "[true,null,false]",
  `[${times[1]},null,${times[3]}]`, '["\\ud800"]', "[[1]]", '{"a":1}', '"a"', "[1,\"x\"]", " [ 1 , 2 ] "];
const kinds = { str: texts, int: numbers, real: numbers, bool: ["true", "false", '"true"', "1"], date: times };

// zoo returns n rows as NDJSON. It depends on nothing but n.
export function zoo(n) {
  let seed = 12345;
  const pick = (list) => list[(seed = (seed * 1103515245 + 12345) % 2147483648) % list.length];
  const lines = [];
  for (let i = 0; i < n; i++) {
    const id = 9007199254740993n + BigInt(i % 97) * 7919n;
    const at = new Date(Date.UTC(2026, 9, 1, 0, 0, 0, i * 1000)).toISOString();
    const row = [`"IndvId":${id}`, `"UserId":${id + 1n}`, `"SessionId":${id + 2n}`, `"PageId":${id + 3n}`,
      `"EventStart":"${at}"`, '"EventType":"custom"'];
    for (const [kind, values] of Object.entries(kinds)) {
      for (const prefix of ["evt", "page"]) {
        if (pick([true, false, true])) row.push(`"${prefix}_a.b_${kind}":${pick([...values, "null"])}`);
        if (pick([true, false])) row.push(`"${prefix}_list_${kind}s":${pick([...lists, "null"])}`);
      }
    }
    if (pick([true, false])) row.push(`"NewField":${pick([...texts, ...numbers])}`);
    if (pick([true, false])) row.push(`"evt_Case_str":${pick(texts)}`, `"evt_case_str":${pick(texts)}`);
    if (i % 10 === 0) row.push(`"day":${pick(texts)}`, `"evt_sometimes_int":${i}`);
    lines.push(`{${row.join(",")}}`);
  }
  return lines.join("\n") + "\n";
}
