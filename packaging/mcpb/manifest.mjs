// The manifest of a bundle: https://github.com/anthropics/mcpb, MANIFEST.md.
import { release } from "./release.mjs";

// The form that a host shows. Every field has a default, because hosts leave ${user_config.x} in place of one that has
// neither a value nor a default. The program treats what is left as not set.
const fields = {
  api_key: {
    type: "string",
    title: "Fullstory API key",
    description:
      "A key of the level Architect: in Fullstory, Settings, Integrations, API Keys. Leave it empty to try simulated " +
      "data, or if the program's command login keeps the key in the keychain of this computer.",
    sensitive: true,
    required: false,
    default: "",
  },
  sandbox: {
    type: "boolean",
    title: "Try without a key",
    description: "Exports simulated data of a made-up web shop. No key is used, and nothing is sent to Fullstory.",
    required: false,
    default: false,
  },
  folder: {
    type: "directory",
    title: "Folder",
    description: "Folder in which exported files are kept. It is created if it is missing.",
    required: false,
    default: "${HOME}/fullstory-exports",
  },
  timezone: {
    type: "string",
    title: "Time zone",
    description: "Zone of dates when you name none, such as Europe/Berlin or America/New_York.",
    required: false,
    default: "UTC",
  },
  read_only: {
    type: "boolean",
    title: "Read only",
    description: "Offers only tools that start, change and cancel nothing.",
    required: false,
    default: false,
  },
};

const variables = {
  FULLSTORY_API_KEY: "${user_config.api_key}",
  FULLSTORY_SANDBOX: "${user_config.sandbox}",
  FULLSTORY_EXPORT_DIR: "${user_config.folder}",
  FULLSTORY_EXPORT_TIMEZONE: "${user_config.timezone}",
  FULLSTORY_EXPORT_READ_ONLY: "${user_config.read_only}",
  FULLSTORY_EXPORT_BUNDLE: "true", // messages name the fields of the form
};

// The kinds of bundles: a manifest names a system, not a processor, so Linux has two.
export const kinds = {
  macos: { platform: "darwin", program: "fullstory-export-mcp" },
  windows: { platform: "win32", program: "fullstory-export-mcp.exe" },
  linux: { platform: "linux", program: "fullstory-export-mcp" },
  "linux-arm64": { platform: "linux", program: "fullstory-export-mcp" },
};

// manifest returns the manifest of a kind of bundle, with what ask returned.
export function manifest(kind, version, { serverInfo, tools, prompts }) {
  const { platform, program } = kinds[kind];
  return {
    manifest_version: "0.4",
    name: serverInfo.name,
    display_name: serverInfo.title,
    version,
    description: serverInfo.description,
    long_description:
      "Exports the raw events, pages, sessions or people of a Fullstory segment, over hours or years, as verified files " +
      "on this computer. Ask for example: *Export everything from last week, by day, and tell me when it is done and " +
      "how many rows.* It needs an API key of the level Architect; **Try without a key** uses simulated data instead.",
    author: { name: "The fullstory-export-mcp authors", url: release.repository },
    repository: { type: "git", url: release.repository },
    homepage: release.repository,
    documentation: `${release.repository}/blob/v${version}/docs/quickstart.md`,
    support: `${release.repository}/issues`,
    icon: "icon.png",
    server: {
      type: "binary",
      entry_point: `server/${program}`,
      mcp_config: { command: `\${__dirname}/server/${program}`, args: [], env: variables },
    },
    tools,
    prompts,
    keywords: ["fullstory", "export", "analytics", "events", "parquet"],
    license: "MIT",
    compatibility: { platforms: [platform] },
    user_config: fields,
  };
}
