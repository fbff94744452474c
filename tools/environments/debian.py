"""Debian: installs the tools that the rig needs, and by apt downloads source and binary packages.

Runs as root or through sudo, and asks apt only for what is missing.
"""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from tools.base import cache, process
from tools.base.report import Problem, Unavailable, step

# Package, and a test whether this machine has what we need of it.
TOOLS = [
    ("wine64", lambda: Path("/usr/lib/wine/wine64").exists() or shutil.which("wine64")),
    ("wine", lambda: shutil.which("wine")),
    ("gcc-mingw-w64-x86-64", lambda: shutil.which("x86_64-w64-mingw32-gcc")),
    ("make", lambda: shutil.which("make")),
    ("libpython3-dev", lambda: Path(sysconfig.get_path("include"), "Python.h").exists()),
    ("python3-venv", lambda: importlib.util.find_spec("ensurepip")),
    ("tcllib", lambda: any(Path("/usr/share/tcltk").glob("tcllib*"))),
    ("curl", lambda: shutil.which("curl")),
    ("wrk", lambda: shutil.which("wrk")),
]


def install_tools():
    """Install every missing tool."""
    install(TOOLS)


def install(wanted):
    """Install those of the packages that are missing. If two dev.py need some, one runs apt, and the other
    then tests again."""
    if all(present() for package, present in wanted):
        return
    with cache.locked(cache.root() / "locks" / "apt.lock"):
        _install([package for package, present in wanted if not present()])
    importlib.invalidate_caches()
    still = [package for package, present in wanted if not present()]
    if still:
        raise Problem(f"apt installed {', '.join(still)}, but what the rig needs of it is not there. The "
                      "Python that runs dev.py must be Debian's own, or one that brings its C headers and "
                      "ensurepip")


def _install(missing):
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Problem(f"missing: {', '.join(missing)} (names of Debian packages). There is no apt-get here: "
                      "install them your own way, then run this again")
    with step(f"apt: {' '.join(missing)}"):
        if not _known(missing):
            _apt("update", "--quiet")
        # Another program may hold dpkg's lock for a while, such as the automatic upgrade of a new machine.
        _apt("install", "--yes", "--quiet", "--no-install-recommends", "-oDPkg::Lock::Timeout=600", *missing)


def _known(packages):
    """Whether apt's index exists and names for every package a version to install."""
    policy = subprocess.run(["apt-cache", "policy", *packages], stdout=subprocess.PIPE, text=True, check=True,
                            env={**os.environ, "LC_ALL": "C"}).stdout
    return policy.count("Candidate:") == len(packages) and "Candidate: (none)" not in policy


def _apt(*arguments):
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        raise Problem("apt-get needs root: run dev.py as root, or install sudo")
    process.check([*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *arguments],
                  f"apt-get {arguments[0]}")


def fetch_source(package, file, into):
    """Download the upstream tarball `file` of Debian's source `package` into the directory `into`."""
    version = file.removeprefix(package + "_").split(".orig.")[0]
    options, trouble = _own_index("deb-src", file, into)
    found = [each for each in _versions(["apt-cache", *options, "showsrc", package])
             if each.rpartition("-")[0] == version]
    if not found:
        raise Unavailable(f"{file}: the Debian mirror of this machine does not list {package} "
                          f"{version}{trouble}")
    # apt fails when the mirror lacks any file of the source package. It may have downloaded the tarball
    # anyway.
    _download(["apt-get", *options, "--tar-only", "--download-only", "source", f"{package}={found[-1]}"],
              file, into)


def fetch_package(package, file, into):
    """Download Debian's binary package, the .deb `file`, into the directory `into`. It is not installed."""
    version = file.split("_")[1]
    options, trouble = _own_index("deb", file, into)
    if version not in _versions(["apt-cache", *options, "show", package]):
        raise Unavailable(f"{file}: the Debian mirror of this machine does not list {package} "
                          f"{version}{trouble}")
    _download(["apt-get", *options, "download", f"{package}={version}"], file, into)


def _own_index(kind, file, into):
    """Fetch an index of packages of this kind. Return the options that make apt use it, and the error of the
    fetch.

    It comes from the machine's own mirrors, through a configuration of ours: the machine's sources and lists
    do not change.
    """
    if not shutil.which("apt-get"):
        raise Unavailable(f"{file}: no apt-get here to fetch it")
    state = into / "apt"
    for name in ("lists/partial", "parts"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "parts" / "own.sources").write_text(_entries(kind))
    options = ["-oDir::Etc::sourcelist=/dev/null", f"-oDir::Etc::sourceparts={state / 'parts'}",
               f"-oDir::State::lists={state / 'lists'}", f"-oDir::Cache={state}", "-oAPT::Sandbox::User=",
               # a mirror may be out of date; its files are pinned by hash anyway
               "-oAcquire::Check-Valid-Until=false",
               "--quiet"]
    trouble = ""
    try:
        process.check(["apt-get", *options, "update"], "apt-get update for packages that are downloaded only")
    except Problem as problem:      # a mirror that has no packages of one release may have those of another
        trouble = f"\n{problem}"
    return options, trouble


def _versions(question):
    """The versions of a package in apt-cache's answer to this query."""
    answer = subprocess.run(question, stdout=subprocess.PIPE, text=True).stdout
    return [line.split()[1] for line in answer.splitlines() if line.startswith("Version: ")]


def _download(command, file, into):
    subprocess.run(command, cwd=into, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not (into / file).exists():
        raise Unavailable(f"{file}: the Debian mirror of this machine lists it but does not have it")


def _entries(kind):
    """Source entries of this kind, deb or deb-src, from the machine's mirrors, for its own release and those
    that the rig uses."""
    release = _codename()
    entries = {(uri, key) for uri, suite, key in _configured() if suite == release}
    if not entries:
        raise Unavailable(f"packages to download: apt has no entry for Debian {release!r} on this machine")
    text = ""
    suites = " ".join(sorted({release, "bookworm", "trixie", "sid"}))
    for uri, key in sorted(entries):
        text += f"Types: {kind}\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        text += (f"Signed-By: {key}\n" if key else "") + "\n"
    return text


def mirror():
    """The mirror from which this machine gets its own release."""
    release = _codename()
    for uri, suite, _ in _configured():
        if suite == release:
            return uri
    raise Problem(f"apt has no entry for Debian {release!r} on this machine: which mirror to use is not "
                  "known")


def _codename():
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
                  if "=" in line)
    return fields.get("VERSION_CODENAME", "").strip('"')


def _configured(etc=Path("/etc/apt")):
    """Every (uri, suite, keyring or None) of the binary sources that apt has, in both of their formats."""
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else []:
            words = line.split("#")[0].replace("[", " [ ").replace("]", " ] ").split()
            if words and words[0] == "deb":
                options = words[words.index("[") + 1:words.index("]")] if "[" in words else []
                rest = words[words.index("]") + 1:] if "]" in words else words[1:]
                key = next((word.partition("=")[2] for word in options if word.startswith("signed-by=")),
                           None)
                yield rest[0], rest[1], key
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for paragraph in path.read_text().split("\n\n"):
            fields = dict(line.split(":", 1)
                          for line in paragraph.splitlines() if ":" in line and line[0] not in "# ")
            for uri in fields.get("URIs", "").split():
                for suite in fields.get("Suites", "").split():
                    yield uri, suite, fields.get("Signed-By", "").strip() or None
