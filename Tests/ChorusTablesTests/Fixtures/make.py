"""Writes the fixtures beside it: what Python's gzip, zlib and NumPy make of known numbers."""
import gzip, pathlib, struct, zlib
import numpy as np

here = pathlib.Path(__file__).parent
rows = range(3000)
text = "x,y\n" + "".join(f"{i},{i * i % 977}.{i * 7919 % 1000:03d}\n" for i in rows)


def member(data, level=9, strategy=zlib.Z_DEFAULT_STRATEGY, flags=0, head=b""):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    body = packer.compress(data) + packer.flush()
    start = b"\x1f\x8b\x08" + bytes([flags]) + b"\0" * 6 + head
    if flags & 2:
        start += struct.pack("<H", zlib.crc32(start) & 0xFFFF)
    return start + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def write(name, data):
    (here / name).write_bytes(data)


write("dynamic.csv.gz", gzip.compress(text.encode(), 9, mtime=0))
write("fixed.csv.gz", member(text[:4000].rsplit("\n", 1)[0].encode(), strategy=zlib.Z_FIXED))
write("huffman.csv.gz", member(text.encode()[:2000].rsplit(b"\n", 1)[0], strategy=zlib.Z_HUFFMAN_ONLY))
half = text.index("1500,")
named = member(text[half:].encode(), 1, flags=31, head=b"\3\0abc" + b"name\0" + b"comment\0")
write("members.csv.gz", member(text[:half].encode()) + member(b"") + named + b"\0" * 40)

i = np.arange(50)
x, y = i / 4, np.sin(i)
np.save(here / "f8.npy", np.stack([x, y], 1))
np.save(here / "f4-fortran.npy", np.asfortranarray(np.stack([x, y], 1).astype("f4")))
np.save(here / "big-endian.npy", y.astype(">f8"))
np.save(here / "objects.npy", np.array([1, "a"], dtype=object), allow_pickle=True)
np.save(here / "records.npy", np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]))
np.save(here / "complex.npy", np.array([1j]))
np.save(here / "cube.npy", np.zeros((2, 2, 2)))
np.savez(here / "stored.npz", x=x, m=np.stack([y, -y], 1))
days = np.array(["1970-01-02", "NaT", "2000-01-01"], dtype="datetime64[D]")
np.savez_compressed(
    here / "types.npz", day=days, hour=days.astype("datetime64[h]"), half=np.array([0.5, -6e-8, np.inf], "f2"),
    i1=np.array([-1, 2, 3], "i1"), u2=np.array([1, 2, 65535], "u2"), i8=np.array([-(2**53), 0, 5]),
    b=np.array([True, False, True]), words=np.array(["a", "b", "c"]), long=np.zeros(4))
