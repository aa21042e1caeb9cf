// Rows of exported files, read with what Node.js has: numbers as they are written, and
// the values that docs/parquet.md says a Parquet file has for them. No code of the
// program is used here.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

// Num is a number of JSON as it is written.
export class Num {
  constructor(text) {
    this.text = text;
  }
}

const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

// parse is JSON.parse with a Num for each number, which may have more digits than a double.
export function parse(text) {
  const marked = text.replace(token, (t) => (t[0] === '"' ? t : `"\\u0000num${t}"`));
  return JSON.parse(marked, (_, v) => (typeof v === "string" && v.startsWith("\0num") ? new Num(v.slice(4)) : v));
}

// readRows returns the rows of an exported file as objects without absent values.
export function readRows(path) {
  const text = gunzipSync(readFileSync(path)).toString("utf8");
  if (path.endsWith(".ndjson.gz")) return text.split("\n").filter(Boolean).map(parse);
  if (path.endsWith(".json.gz")) return parse(text || "[]");
  const [header, ...records] = csv(text);
  return records.map((r) => Object.fromEntries(header.map((name, i) => [name, r[i]]).filter(([, v]) => v !== "")));
}

// csv returns the records of a CSV file, with LF for each CR LF.
function csv(text) {
  const records = [];
  let record = [];
  for (const [, quoted, plain, end] of text.replaceAll("\r\n", "\n").matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\n|$)/g)) {
    if (quoted === undefined && plain === "" && end === "" && record.length === 0) break;
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") {
      records.push(record);
      record = [];
    }
  }
  return records;
}

const words = (text) => text.trim().split(/\s+/);
const documented = new Map(
  [
    ["int", `IndvId UserId SessionId PageId EventDuration EventSecondaryDuration EventPageOffset EventSessionOffset
      EventModFrustrated EventModDead EventModError EventModSuspicious EventFirstInputDelay PageDuration
      PageActiveDuration PageScreenWidth PageScreenHeight PageViewportWidth PageViewportHeight PageNumEvents
      PageNumDerivedEvents PageNumInfos PageNumWarnings PageNumErrors PageClusterId PageMaxScrollDepthPercent
      LoadDomContentTime LoadEventTime LoadFirstPaintTime LoadLargestPaintTime ReqStatus NumSessions NumPages NumEvents
      LastSessionNumPages LastSessionNumEvents`],
    ["real", `EventCumulativeLayoutShift TotalSec ActiveSec AvgSessionSec AvgSessionActiveSec MaxSessionSec LastSessionSec
      LastSessionActiveSec`],
    ["date", "UserCreated SessionStart EventStart PageStart Created LastSessionStart LastEventStart"],
    ["json", "UserVars EventVars PageVars"],
    ["str", `UserAppKey UserDisplayName UserEmail EventType EventSubType EventCustomName EventTargetText EventTargetSelector
      EventTargetSelectorTok EventVarErrorKind EventVarFields EventWebSourceFileUrl EventMobileSourceFile PageName PageUrl
      PageRefererUrl PageIp PageLatLong PageUserAgent PageAgent PageBrowser PageBrowserVersion PageDevice PagePlatform
      PageOperatingSystem ReqUrl ReqMethod AppName AppPackageName AppDeviceModel AppDeviceVendor AppVersion AppOsVersion
      AppViewName Uid DisplayName Email LastPage LastIp LastLatLong LastBrowser LastDevice LastPlatform
      LastOperatingSystem`],
  ].flatMap(([type, names]) => words(names).map((name) => [name, type])),
);

// typeOf returns the type of a column by its name.
export function typeOf(name) {
  const variable = /^(?:user|evt|page)_.+_(str|int|real|bool|date)(s?)$/.exec(name);
  return { type: documented.get(name) ?? variable?.[1] ?? "any", list: !documented.has(name) && variable?.[2] === "s" };
}

// columnOf returns the name of the column of a name of the rows.
export const columnOf = (name) => name.replaceAll(".", "__").replace(/[^A-Za-z0-9_]/gu, "_").replace(/^(?=\d)/, "_");

const instant = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$/i;

// micros returns the microseconds of a time, or undefined.
function micros(text) {
  const m = instant.exec(text);
  if (!m) return undefined;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number);
  const at = new Date(0);
  at.setUTCFullYear(year, month - 1, day);
  if (at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return undefined;
  at.setUTCHours(hour, minute, second);
  const nanos = BigInt((m[7] ?? "").padEnd(9, "0"));
  let seconds = BigInt(at.getTime()) / 1000n;
  const zone = /^([+-])(\d\d):?(\d\d)$/.exec(m[8] ?? "");
  if (zone) seconds -= BigInt(`${zone[1]}1`) * BigInt(Number(zone[2]) * 3600 + Number(zone[3]) * 60);
  if (nanos % 1000n || seconds < -62135596800n || seconds > 253402300799n) return undefined;
  return seconds * 1000000n + nanos / 1000n;
}

// stored returns what a column has for a value, or undefined if the value does not fit.
// Integers and times are bigint.
export function stored(type, v, csv) {
  if (type === "json") {
    const object = (text) => { try { return text.trim()[0] === "{" && (JSON.parse(text), true); } catch { return false; } };
    return typeof v === "string" ? (object(v) ? v : undefined) : v && !Array.isArray(v) && !(v instanceof Num) ? v : undefined;
  }
  if (type === "date") return typeof v === "string" ? micros(v) : undefined;
  if (type === "str") return typeof v === "string" && v.isWellFormed() ? v : undefined;
  if (type === "any") {
    if (typeof v === "object" && !(v instanceof Num)) return undefined;
    return v instanceof Num ? v.text : typeof v === "string" && !v.isWellFormed() ? undefined : String(v);
  }
  if (csv && typeof v === "string") {
    v = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(v) ? new Num(v) : v === "true" || v === "false" ? v === "true" : v;
  }
  if (type === "bool") return typeof v === "boolean" ? v : undefined;
  if (!(v instanceof Num)) return undefined;
  const whole = /^-?\d+$/.test(v.text);
  const fits = whole && BigInt.asIntN(64, BigInt(v.text)) === BigInt(v.text);
  if (type === "int") return fits && v.text !== "-0" ? BigInt(v.text) : undefined;
  const real = Number(v.text);
  if (!Number.isFinite(real) || whole && v.text.length > 15 && !(fits && BigInt(real) === BigInt(v.text))) return undefined;
  return real;
}

// storedList is stored for a list.
export function storedList(type, v, csv) {
  if (csv && typeof v === "string") {
    try { v = parse(v); } catch { return undefined; }
  }
  if (!Array.isArray(v)) return undefined;
  const all = v.map((e) => (e === null ? null : stored(type, e, false)));
  return all.includes(undefined) ? undefined : all;
}
