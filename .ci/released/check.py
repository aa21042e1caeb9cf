"""Checks the files of a release: check.py DIST COMMIT.

It unpacks every archive and package, reads what Go wrote into each program, and starts those
that this machine can run. It exits with 1 at the first thing that is wrong."""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

dist, commit = pathlib.Path(sys.argv[1]), sys.argv[2]
TARGETS = {(s, p) for s in ("darwin", "linux", "windows") for p in ("amd64", "arm64")}


def expect(ok, what):
    if not ok:
        sys.exit(f"released: {what}")


def run(*args, **more):
    return subprocess.run(args, check=True, capture_output=True, **more).stdout


def about(program):
    """Returns the settings of the build of a program, and its modules."""
    text = run("go", "version", "-m", str(program)).decode()
    settings = dict(re.findall(r"^\tbuild\t([^=\n]+)=(.*)$", text, re.M))
    modules = {m: v for m, v in re.findall(r"^\t(?:dep|=>)\t(\S+)\t(\S+)", text, re.M)}
    expect(settings["vcs.revision"] == commit, f"{program} was built from {settings.get('vcs.revision')}")
    expect(settings["vcs.modified"] == "false", f"{program} was built from files that are not in Git")
    expect(settings["CGO_ENABLED"] == "0", f"{program} needs a C library")
    expect(str(pathlib.Path.cwd()).encode() not in program.read_bytes(), f"{program} names the folder it was built in")
    return settings, modules


def unpack(archive, folder):
    """Unpacks an archive or a package, and returns the paths of its files within it."""
    name = archive.name
    if name.endswith(".zip"):
        zipfile.ZipFile(archive).extractall(folder)
    elif name.endswith(".deb"):
        run("dpkg-deb", "-x", str(archive), str(folder))
    elif name.endswith(".rpm"):
        run("bsdtar", "-xf", str(archive), "-C", str(folder))
    elif name.endswith(".apk"):
        # Signature, control and data are three gzip streams, one after the other.
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive.read_bytes())), ignore_zeros=True) as t:
            t.extractall(folder, filter="tar")
    else:
        with tarfile.open(archive) as t:
            expect(all(m.uid == m.gid == 0 for m in t), f"{name} names an owner")
            t.extractall(folder, filter="data")
    return {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}


def version_of(program, *before):
    return run(*before, str(program), "--version", env={}, cwd="/").decode()


def check_archive(archive, folder, modules):
    """Checks an archive of a program, and returns the program."""
    files = unpack(archive, folder)
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "THIRD_PARTY_LICENCES.txt", "man/fullstory-export-mcp.1",
              "completions/fullstory-export-mcp.bash", "completions/_fullstory-export-mcp",
              "completions/fullstory-export-mcp.fish"}
    program = [n for n in files if n in ("fullstory-export-mcp", "fullstory-export-mcp.exe")]
    expect(set(files) - set(program) == wanted and len(program) == 1, f"{archive.name} has {sorted(files)}")
    licences = files["THIRD_PARTY_LICENCES.txt"].read_text()
    for module, version in modules.items():
        expect(f"\n{module} {version}, " in licences, f"{archive.name} has no licence of {module} {version}")
    return files[program[0]]


def check_package(package, folder):
    files = unpack(package, folder)
    for name in ("usr/bin/fullstory-export-mcp", "usr/share/man/man1/fullstory-export-mcp.1.gz",
                 "usr/share/bash-completion/completions/fullstory-export-mcp",
                 "usr/share/zsh/site-functions/_fullstory-export-mcp",
                 "usr/share/fish/vendor_completions.d/fullstory-export-mcp.fish",
                 "usr/share/doc/fullstory-export-mcp/copyright"):
        expect(name in files, f"{package.name} has no {name}")
    return files["usr/bin/fullstory-export-mcp"]


def check_sbom(sbom, modules):
    said = json.loads(sbom.read_text())
    expect(said["bomFormat"] == "CycloneDX", f"{sbom.name} is no SBOM")
    named = {c["name"]: c["version"] for c in said["components"] if c["name"] != "std"}
    expect(named == modules, f"{sbom.name} differs from the program by {set(named.items()) ^ set(modules.items())}")


def main():
    programs = {}
    for path in dist.glob("program_*/*"):
        settings, modules = about(path)
        programs[settings["GOOS"], settings["GOARCH"]] = (path.read_bytes(), modules)
    expect(set(programs) == TARGETS, f"there are programs for {sorted(programs)}")
    linux = programs["linux", "amd64"][1]
    started = []
    for path in sorted(dist.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            if path.name.endswith((".tar.gz", ".zip")):
                system, processor = re.search(r"_(darwin|linux|windows)_(\w+)\.", path.name).groups()
                universal = processor == "universal"
                content, modules = programs[system, "amd64" if universal else processor]
                program = check_archive(path, folder, modules)
                if universal:
                    expect(program.read_bytes()[:4] == b"\xca\xfe\xba\xbe", f"{path.name} is not universal")
                    continue
                expect(program.read_bytes() == content, f"{path.name} has another program")
            elif path.name.endswith((".deb", ".rpm", ".apk")):
                program = check_package(path, folder)
                system = "linux"
                processor = "arm64" if re.search("arm64|aarch64", path.name) else "amd64"
                expect(program.read_bytes() == programs[system, processor][0], f"{path.name} has another program")
            elif path.name.endswith(".sbom.json"):
                system, processor = re.search(r"_(darwin|linux|windows)_(amd64|arm64)", path.name).groups()
                check_sbom(path, programs[system, processor][1])
                continue
            else:
                continue
            if system == "linux":
                said = version_of(program, *(["qemu-aarch64"] if processor == "arm64" else []))
                expect(commit[:12] in said and f"linux/{processor}" in said, f"{path.name} says {said}")
                started.append(path.name)
    expect(len(started) == 8, f"only {started} were started")
    sums = dict(reversed(line.split()) for line in (dist / "checksums.txt").read_text().splitlines())
    for name, wanted in sums.items():
        [path] = list(dist.glob(name)) + list(dist.glob("mcpb/" + name))
        expect(hashlib.sha256(path.read_bytes()).hexdigest() == wanted, f"checksums.txt is wrong about {name}")
    for path in list(dist.glob("*.*")) + list(dist.glob("mcpb/*")):
        if path.suffix in (".gz", ".zip", ".deb", ".rpm", ".apk", ".mcpb") or path.name.endswith(".sbom.json"):
            expect(path.name in sums, f"checksums.txt lacks {path.name}")
    cask = (dist / "homebrew/Casks/fullstory-export-mcp.rb").read_text()
    for system, processor in ("darwin", "amd64"), ("darwin", "arm64"), ("linux", "amd64"), ("linux", "arm64"):
        [name] = [n for n in sums if n.endswith(f"_{system}_{processor}.tar.gz")]
        pattern = rf'url "[^"]*_{system}_{processor}\.tar\.gz"\s+sha256 "{sums[name]}"'
        expect(re.search(pattern, cask), f"the cask has another checksum of {name}")
    print(f"{len(programs)} programs of {commit[:12]} with {len(linux)} modules; {len(sums)} files with checksums; "
          f"started: {', '.join(started)}")


main()
