#!/usr/bin/env python3
"""What the bytes of a linked library are: the map of a linker (GNU ld, gold), by the archive or the object that they come from.

    tools/library_parts.py MAP [FOLDER]

FOLDER holds the objects of Chorus's modules, `MODULE.build`: what was joined into one object before linking is then told by module, in
proportion to what the objects have before the linker leaves anything out.
"""

import pathlib
import re
import subprocess
import sys

# Sections that are not loaded, and the one that takes no room in the file.
IGNORED = re.compile(r"^\.(debug|comment|symtab|strtab|shstrtab|note|bss|tbss|group|swift1_autolink)")
LINE = re.compile(r"^ (\S+)?\s*0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(\S.*)$")


def parts(text):
    """Bytes of sections kept, by where they come from."""
    found = {}
    # GNU ld says "Linker script and memory map", gold "Memory map".
    _, _, text = text.rpartition("emory map\n")
    # A long name stands on a line of its own.
    text = re.sub(r"^ (\S+)\n\s+(0x)", r" \1 \2", text, flags=re.M)
    for line in text.splitlines():
        match = LINE.match(line)
        if not match or not match[1] or IGNORED.match(match[1]):
            continue
        size, source = int(match[2], 16), match[3]
        archive = re.match(r"(.*?)\((.*)\)$", source)
        name = pathlib.Path(archive[1] if archive else source).name
        found[name] = found.get(name, 0) + size
    return found


def modules(folder):
    """Bytes of code and data of each module's objects."""
    found = {}
    for build in pathlib.Path(folder).glob("*Chorus*.build"):
        objects = [str(file) for file in build.rglob("*.o") if "resource_bundle" not in file.name]
        if objects:
            rows = subprocess.run(["size", *objects], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
            found[build.stem] = sum(int(row.split()[0]) + int(row.split()[1]) for row in rows)
    return found


def main():
    found = parts(pathlib.Path(sys.argv[1]).read_text(errors="replace"))
    rows = sorted(found.items(), key=lambda row: -row[1])
    for name, size in rows:
        if size >= 50_000:
            print(f"  {size / 1e6:6.2f} MB  {name}")
    print(f"  {sum(size for _, size in rows if size < 50_000) / 1e6:6.2f} MB  all else")
    if len(sys.argv) > 2:
        print("  before linking, by module:")
        for name, size in sorted(modules(sys.argv[2]).items(), key=lambda row: -row[1]):
            print(f"  {size / 1e6:6.2f} MB  {name}")


if __name__ == "__main__":
    main()
