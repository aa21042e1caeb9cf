// What is published, under which name: ../release.env.
import { readFileSync } from "node:fs";

const file = new URL("../release.env", import.meta.url);

// release is OWNER and SERVER_NAME of release.env, with the address of the repository. It fails if the two do not agree,
// or in a workflow of the repository of another account.
export const release = (() => {
  const lines = readFileSync(file, "utf8").split("\n").filter((l) => l && !l.startsWith("#"));
  const values = Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]));
  const { OWNER: owner, SERVER_NAME: name } = values;
  if (name !== `io.github.${owner}/fullstory-export-mcp`) {
    throw new Error(`packaging/release.env: SERVER_NAME is ${name}, which is not that of OWNER ${owner}`);
  }
  const account = process.env.GITHUB_REPOSITORY_OWNER;
  if (process.env.GITHUB_REF_TYPE === "tag" && account && account !== owner) {
    throw new Error(`packaging/release.env: OWNER is ${owner}, but this is a repository of ${account}`);
  }
  return { owner, name, repository: `https://github.com/${owner}/fullstory-export-mcp` };
})();

// checkVersion returns a version without the v of its tag. It fails if it is not one of semantic versioning.
export function checkVersion(version) {
  const found = /^v?(\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)$/.exec(version ?? "");
  if (!found) throw new Error(`the version is ${version}; give one such as 1.2.3 or v1.2.3`);
  return found[1];
}

// tagOf returns the version of a tag, such as 1.2.3, if a program was built from one. The version that Go gives other
// commits has the time of the commit.
export function tagOf(built) {
  return /\d{14}-[0-9a-f]{12}|\+dirty/.test(built) ? undefined : /^v(\d.*)$/.exec(built)?.[1];
}
