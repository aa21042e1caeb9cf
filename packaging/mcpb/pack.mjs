// Packs built programs into .mcpb bundles, one for each system, and prints the size and SHA-256 of each. The same programs
// and version give the same bytes. After npm ci --ignore-scripts:
//
//   node packaging/mcpb/pack.mjs VERSION FOLDER licences=FILE \
//     macos=PROGRAM windows=PROGRAM linux=PROGRAM linux-arm64=PROGRAM
//
// Any program may be left out, except for the one that this machine can run: it is asked for the tools and prompts.
// licences is the file with the licences of the modules that the programs have.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { v0_4 } from "@anthropic-ai/mcpb";
import { zipSync } from "fflate";
import { ask } from "./ask.mjs";
import { kinds, manifest } from "./manifest.mjs";
import { checkVersion, tagOf } from "./release.mjs";

// own returns the kind of bundle whose program this machine can run.
function own() {
  const { platform, arch } = process;
  return { darwin: "macos", win32: "windows" }[platform] ?? (arch === "arm64" ? "linux-arm64" : "linux");
}

// parse returns the version, the folder, the file of licences and the programs of the command line.
function parse([version, folder, ...given]) {
  const { licences, ...programs } = Object.fromEntries(given.map((g) => g.split(/=(.*)/s).slice(0, 2)));
  if (!licences) throw new Error("give licences=FILE");
  for (const kind of Object.keys(programs)) {
    if (!kinds[kind]) throw new Error(`there is no bundle for ${kind}, only for ${Object.keys(kinds).join(", ")}`);
  }
  if (!programs[own()]) throw new Error(`give ${own()}=PROGRAM, too: it is asked for the tools`);
  return { version: checkVersion(version), folder, licences, programs };
}

// checkBuilt fails if a program was built from the tag of another version. A snapshot may have more after that of its tag.
function checkBuilt(built, version) {
  const tag = tagOf(built);
  if (tag && version !== tag && !version.startsWith(`${tag}-`)) {
    throw new Error(`the program has the version ${built}, not v${version}`);
  }
}

// zip returns the bytes of a bundle. mcpb pack would record the present time, so its way of writing a file is used with
// a fixed time, which has the same digits in every zone.
function zip(files) {
  const entry = ([name, content, mode]) => [name, [content, { os: 3, attrs: (0o100000 | mode) << 16 }]];
  return zipSync(Object.fromEntries(files.map(entry)), { level: 9, mtime: new Date(1980, 0, 1) });
}

async function main() {
  const { version, folder, licences, programs } = parse(process.argv.slice(2));
  const asked = await ask(programs[own()]);
  checkBuilt(asked.serverInfo.version, version);
  mkdirSync(folder, { recursive: true });
  for (const kind of Object.keys(kinds).filter((k) => programs[k])) {
    const said = v0_4.McpbManifestSchema.parse(manifest(kind, version, asked));
    const content = zip([
      ["manifest.json", Buffer.from(JSON.stringify(said, null, 2) + "\n"), 0o644],
      ["LICENSE", readFileSync(new URL("../../LICENSE", import.meta.url)), 0o644],
      ["THIRD_PARTY_LICENCES.txt", readFileSync(licences), 0o644],
      ["icon.png", readFileSync(new URL("icon.png", import.meta.url)), 0o644],
      [said.server.entry_point, readFileSync(programs[kind]), 0o755],
    ]);
    const name = `${said.name}-${version}-${kind}.mcpb`;
    writeFileSync(join(folder, name), content);
    console.log(`${createHash("sha256").update(content).digest("hex")}  ${name}  ${content.length} bytes`);
  }
}

await main();
