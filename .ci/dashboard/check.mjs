// Checks that Grafana knows every key and value of a dashboard: it compiles the file as
// a literal of the types that Grafana publishes, for which both an unknown key and a
// wrong value are errors.
// Usage: node check.mjs DASHBOARD
// Exits with a non-zero status if a check fails.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const [path] = process.argv.slice(2);
if (!path) throw new Error("usage: node check.mjs DASHBOARD");
const text = readFileSync(path, "utf8");

// problems compiles a dashboard and returns the errors of the compiler.
function problems(json) {
  const name = fileURLToPath(new URL("literal.ts", import.meta.url));
  const options = {
    strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  const source = `import type { Whole } from "./dashboard.d.ts";\nexport const dashboard: Whole =\n${json};\n`;
  host.getSourceFile = (file, version, ...more) =>
    file === name ? ts.createSourceFile(file, source, version) : read(file, version, ...more);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map((d) => {
    const line = d.file?.fileName === name ? d.file.getLineAndCharacterOfPosition(d.start).line - 1 : undefined;
    const place = line ? `${path}:${line}` : (d.file?.fileName ?? path);
    return `${place}: ${ts.flattenDiagnosticMessageText(d.messageText, "\n")}`;
  });
}

// Each of the mistakes breaks the dashboard in one way, which the compiler must find:
// otherwise the types are too wide to check anything.
const panel = (d, type) => d.panels.find((p) => p.type === type);
const mistakes = {
  "an unknown key of the dashboard": (d) => (d.tilte = ""),
  "an unknown key of a panel": (d) => (panel(d, "timeseries").desciption = ""),
  "a number for a text": (d) => (panel(d, "stat").title = 1),
  "an unknown kind of panel": (d) => (panel(d, "stat").type = "stats"),
  "an unknown option": (d) => (panel(d, "timeseries").options.legend.position = "left"),
  "a value outside an enumeration": (d) => (panel(d, "timeseries").options.legend.placement = "left"),
  "an unknown setting of a field": (d) => (panel(d, "timeseries").fieldConfig.defaults.custom.lineWith = 1),
  "an unknown option of a stat": (d) => (panel(d, "stat").options.colourMode = "value"),
  "a place without a width": (d) => delete panel(d, "stat").gridPos.w,
  "an unknown kind of variable": (d) => (d.templating.list[0].type = "source"),
};

const found = problems(text);
for (const [what, make] of Object.entries(mistakes)) {
  const dashboard = JSON.parse(text);
  make(dashboard);
  if (problems(JSON.stringify(dashboard, null, 2)).length === 0) found.push(`the check does not find ${what}`);
}
if (found.length > 0) {
  console.error(found.join("\n"));
  process.exit(1);
}
const panels = JSON.parse(text).panels.length;
console.log(`${panels} panels have Grafana's types, and ${Object.keys(mistakes).length} mistakes would be found`);
