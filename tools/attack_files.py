"""The files of tools/attack: those that commands are given, forged and damaged ones, and whether one that was written is whole."""
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct

SECRET = b"Xk7-secret-Qv9"


def checksum(metadata, table, data):
    """As ChorusStorage computes it."""
    number = lambda n: struct.pack("<Q", n)  # noqa: E731
    text = lambda t: number(len(t.encode())) + t.encode()  # noqa: E731
    head = number(len(metadata)) + b"".join(text(k) + text(metadata[k]) for k in sorted(metadata))
    head += number(len(table))
    for name, entry in table:
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        head += text(name) + text(entry["dtype"]) + number(len(shape)) + b"".join(map(number, shape)) + number(begin) + number(end)
    return hashlib.sha256(head + data).hexdigest()


def rewrite(path, change, to=None):
    """Changes the metadata of a safetensors file and gives it the checksum that fits."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    metadata = {k: v for k, v in header.pop("__metadata__").items() if k != "sha256"}
    scheme = metadata.pop("hash")
    change(metadata)
    table = sorted(header.items(), key=lambda e: (e[1]["data_offsets"], e[0]))
    metadata.update({"hash": scheme, "sha256": checksum(metadata, table, data)})
    text = json.dumps({"__metadata__": metadata, **header}, ensure_ascii=False).encode()
    (to or path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def whole(path):
    """Whether a file that a command writes is all there, as far as its kind tells."""
    content = path.read_bytes()
    if path.name == "log.jsonl" and not content:
        return True  # no line was about a step that was done
    if path.suffix == ".safetensors":
        if len(content) < 8:
            return False
        length = struct.unpack("<Q", content[:8])[0]
        try:
            header = json.loads(content[8:8 + length])
        except ValueError:
            return False
        ends = [e["data_offsets"][1] for name, e in header.items() if name != "__metadata__"]
        return len(content) == 8 + length + max(ends, default=0)
    ending = {".svg": b"</svg>", ".html": b"</html>", ".csv": b"\n", ".jsonl": b"\n", ".json": b"}"}.get(path.suffix)
    return ending is None or content.endswith((ending, ending + b"\n"))


EXPERIMENT = {
    "name": "small", "title": "Small", "tasks": 8,
    "training": {"prior": "gp", "batch": 2, "context": [4, 8], "buffers": [0], "targets": 4, "blueprint": {
        "version": 2, "width": 8, "layers": 1, "heads": 2, "feedForward": 8, "embedderHidden": 8, "headHidden": 8, "frequencies": 2,
        "trainedContext": 8, "trainedBuffer": 0, "head": {"name": "mixture", "components": 2}}},
    "networks": [{"name": "tnp-d"}],
    "evaluation": {"prior": "gp", "contexts": [4], "seed": 1, "sizes": [{"targets": 2, "functions": 2, "orders": 1}]},
    "columns": [{"name": "Ind", "network": "tnp-d", "plan": "independent"}],
}


def mutate(rng, content):
    content = bytearray(content)
    words = [b"nan", b"1e999", b"-", b"\0", b"\xff\xfe", b"\"", b"\n", b",", b"{", b"]", b"9223372036854775808", b"-1", b"0", b"1e-320",
             b"\x1b[31m", "𝄞".encode(), b"2019-02-29", b"null"]
    for _ in range(rng.choice([1, 1, 1, 3, 10])):
        at = rng.randrange(len(content) + 1)
        choice = rng.randrange(6)
        if choice == 0 and content:
            content[at % len(content)] ^= 1 << rng.randrange(8)
        elif choice == 1:
            content[at:at] = rng.choice(words)
        elif choice == 2:
            del content[at:at + rng.choice([1, 1, 8, 100, 1 << 20])]
        elif choice == 3:
            content[at:at] = content[at:at + rng.choice([1, 10, 1000])]
        elif choice == 4:
            numbers = list(re.finditer(rb"\d+", bytes(content)))
            if numbers:
                number = rng.choice(numbers)
                content[number.start():number.end()] = rng.choice(words)
        else:
            content[at:at + 1] = rng.choice(words)
    return bytes(content)


def make(base):
    """All files but those that the program itself makes."""
    rows = [f"{i},{i * 3 % 7 / 2},{'ab'[i % 2]}" for i in range(12)]
    (base / "t.csv").write_text("t,level,who\n" + "\n".join(rows) + "\n12,,a\n13,NA,b\n")
    (base / "g.csv").write_text("who,t,level\n" + "".join(f"{'ab'[i % 2]},{i},{i % 5}\n" for i in range(14)) + "a,14,\nb,15,\n")
    (base / "dates.csv").write_text("t,level\n" + "".join(f"2020-01-{i:02},{i % 4}\n" for i in range(1, 14)) + "2020-01-20,\n")
    (base / "t.jsonl").write_text("".join(json.dumps({"t": i, "level": i % 5 / 2}) + "\n" for i in range(12)) + '{"t":12}\n')
    header = "{'descr': [('t', '<f8'), ('level', '<f8')], 'fortran_order': False, 'shape': (12,), }"
    header += " " * (117 - len(header)) + "\n"
    (base / "t.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                                 + b"".join(struct.pack("<dd", i, i % 3) for i in range(12)))
    (base / "t.csv.gz").write_bytes(gzip.compress((base / "t.csv").read_bytes(), mtime=0))
    network = {"width": 16, "layers": 1, "heads": 2, "feedForward": 16, "embedderHidden": 16, "headHidden": 16, "components": 3,
               "scaling": "standardise"}
    (base / "c.json").write_text(json.dumps({
        "prior": "gp", "steps": 6, "batch": 4, "context": [4, 8], "buffers": [4], "targets": 4, "seed": 5, "validationTasks": 4,
        "validateEvery": 2, "checkpointEvery": 2, "blueprint": network}))
    (base / "zero.json").write_bytes(b"\0" * 4096)
    (base / "deep.json").write_text("[" * 100000)
    (base / "secret").write_bytes(struct.pack("<Q", 40) + b'{"' + SECRET * 20 + b'":')
    (base / "tasks.jsonl").write_text("".join(
        json.dumps({"x": [i / 5 for i in range(20)], "y": [(i * 7 + k) % 5 for i in range(20)]}) + "\n" for k in range(6)))
    shutil.copyfile(pathlib.Path(__file__).resolve().parents[1] / "Fuzz/corpus/gguf/llama", base / "l.gguf")
    (base / "e.json").write_text(json.dumps(EXPERIMENT))
    (base / "a.txt").write_text("the a b 1 the\n" * 40)
    (base / "d").mkdir()
    for pipe in ["pipe", "pipe.json"]:
        os.mkfifo(base / pipe)


def make_long(path):
    """Rows in which what is made of them takes more than what the program takes anyway."""
    path.write_text("t,level,who\n" + "".join(f"{i},{i * 7 % 11 / 2},g{i % 500}\n" for i in range(30000)))
