// Starts the program of an unpacked bundle as a host does: with the command and variables that the code of Claude Desktop
// makes of the manifest and the form, without HOME, in the folder /.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

// The official client is installed in .ci/sdk, mcpb in packaging/mcpb.
const sdk = createRequire(new URL("../sdk/package.json", import.meta.url));
const { Client } = sdk("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = sdk("@modelcontextprotocol/sdk/client/stdio.js");
const packing = createRequire(new URL("../../packaging/mcpb/package.json", import.meta.url));
const { getMcpConfigForManifest } = await import(pathToFileURL(packing.resolve("@anthropic-ai/mcpb")));

// mcpb is the file of that command.
export const mcpb = join(dirname(packing.resolve("@anthropic-ai/mcpb")), "cli", "cli.js");

// Host has an unpacked bundle, and a folder in which no key of this user is found.
export class Host {
  constructor(bundle, home) {
    this.bundle = bundle;
    this.home = home;
    this.manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
  }

  // configuration returns the command and variables for what the user entered. A value that is undefined or null is one
  // that the host has for an empty field.
  configuration(entered) {
    return getMcpConfigForManifest({
      manifest: this.manifest, extensionPath: this.bundle, systemDirs: { HOME: this.home }, userConfig: entered,
      pathSeparator: "/",
    });
  }

  // untouched returns the command with the variables as the manifest has them, placeholders included.
  untouched() {
    const { command, args, env } = this.manifest.server.mcp_config;
    return { command: command.replace("${__dirname}", this.bundle), args, env };
  }

  // start starts the program and returns a client of it, and what it logs.
  async start({ command, args, env }) {
    const transport = new StdioClientTransport({
      command, args, cwd: "/", stderr: "pipe",
      env: {
        HOME: undefined, LOGNAME: undefined, USER: undefined, SHELL: undefined, TERM: undefined,
        XDG_CONFIG_HOME: this.home, FULLSTORY_EXPORT_NO_KEYCHAIN: "true", // so that no key of this user is used
        ...env,
      },
    });
    const client = new Client({ name: "host", version: "1.0.0" });
    const log = [];
    transport.stderr.on("data", (text) => log.push(text));
    try {
      await client.connect(transport);
    } catch (e) {
      throw new Error(`the program does not start: ${e.message}\n${log.join("")}`);
    }
    return { client, log: () => log.join("") };
  }

  // with starts the program, uses it and ends it.
  async with(configuration, use) {
    const { client, log } = await this.start(configuration);
    try {
      return await use(client, log);
    } catch (e) {
      throw new Error(`${e.message}\nits log:\n${log()}`, { cause: e });
    } finally {
      await client.close();
    }
  }
}
