// Fills in server.json for the MCP registry: version, address and SHA-256 of each bundle, reference of the image.
//
//   node packaging/mcpb/server.mjs VERSION IMAGE FILE BUNDLE...
//
// IMAGE is such as ghcr.io/OWNER/fullstory-export-mcp:1.2.3@sha256:…, FILE the server.json to write. It needs no packages.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { checkVersion, release } from "./release.mjs";

// fill returns a value of JSON in which each ${NAME} in a text is replaced. It fails for a name that values lacks.
function fill(value, values) {
  return JSON.parse(JSON.stringify(value), (_, v) => typeof v !== "string" ? v : v.replace(/\$\{(\w+)\}/g, (_, name) => {
    if (!values[name]) throw new Error(`packaging/server.json: there is no value for ${name}`);
    return values[name];
  }));
}

const [given, image, file, ...bundles] = process.argv.slice(2);
const version = checkVersion(given);
if (!image || !file || bundles.length === 0) throw new Error("usage: server.mjs VERSION IMAGE FILE BUNDLE...");
const values = { SERVER_NAME: release.name, REPOSITORY: release.repository, VERSION: version, IMAGE: image };
const { packages: [mcpb, oci], ...server } = JSON.parse(readFileSync(new URL("../server.json", import.meta.url), "utf8"));
const packages = bundles.map((path) => fill(mcpb, {
  ...values, BUNDLE: basename(path), SHA256: createHash("sha256").update(readFileSync(path)).digest("hex"),
}));
const filled = { ...fill(server, values), packages: [...packages, fill(oci, values)] };
writeFileSync(file, JSON.stringify(filled, null, 2) + "\n");
