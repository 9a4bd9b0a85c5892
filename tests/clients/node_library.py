"""Node's ``jose``, fetched once from npm into ``.tools/`` and kept."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("node")
CACHE = Path(__file__).resolve().parents[2] / ".tools" / "node"
FETCH_SECONDS = 120


class NodeMissingError(Exception):
    """What is missing, and how to get it."""


def ready_folder(cache: Path = CACHE) -> Path:
    """The folder with the script and its library, fetched if need be. Blocks; several processes may call it at once.

    Raises:
        NodeMissingError: Node or npm is not installed.
        AssertionError: npm could not fetch it.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NodeMissingError("Node is not installed; on Debian: apt-get install nodejs npm")
    manifest, script = (SOURCE / "package.json").read_bytes(), (SOURCE / "verify.mjs").read_bytes()
    folder = cache / hashlib.sha256(manifest + script).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "fetched").exists():
            (folder / "package.json").write_bytes(manifest)
            (folder / "verify.mjs").write_bytes(script)
            command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "fetched").touch()
    return folder
