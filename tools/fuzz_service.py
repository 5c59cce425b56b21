#!/usr/bin/env python3
"""Sends `chorus serve` mutated bodies for a while: none may end the process, be answered by 500, or take a worker for good.

    .build/release/chorus serve --port 8080 --quiet --deadline 2 --flop-limit 1e10 --most-contexts 100 &
    tools/fuzz_service.py --seconds 180 --seed 1

Bodies that are right are cut, doubled, spliced and changed by bytes and by words that parsers trip over, in every form that rows and
questions come in. What stands for no answer in HTTP at all is counted as lost.
"""
import argparse
import asyncio
import json
import random
import struct
import time
import urllib.request

WORDS = [b"", b"nan", b"1e999", b"-1", b"9" * 400, b"\xff\xfe", b"\x00", b"\"", b"{", b"[[[[", b",,,,", b"\r\n--B--", b"null", b"9223372036854775808",
         b"0..1e9/1e-9", b"2024-02-30", b"--", b"%", b"\xf0\x9f\x8e\xbc", b"sum>1e300", b"1.kind=ash"]


def npy(values, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}d", *values)


def seeds(series, table):
    """Requests that are answered: method, path, type, body."""
    rows = "".join(f"{i / 4},{i * 7 % 5}\n" for i in range(12))
    wood = "".join(f"{'ash elm oak'.split()[i % 3]},{i * 3 % 7},{i % 5 + i / 9}\n" for i in range(12))
    csv, lines = "x,y\n" + rows, "".join(f'{{"x":{i},"y":{i * i % 7}}}\n' for i in range(12))
    form = ('--B\r\nContent-Disposition: form-data; name="target"\r\n\r\ny\r\n--B\r\nContent-Disposition: form-data; name="rows"; '
            f'filename="a.csv"\r\n\r\n{csv}\r\n--B--\r\n')
    question = {"at": "3..5/0.5", "samples": 3, "seed": 1, "plan": "buffered", "given": ["3>1"], "quantiles": [0.1, 0.9]}
    tensors = {"inputs": [{"name": name, "shape": [4], "datatype": "FP64", "data": [1, 2, 3, 5]} for name in ("x", "y", "points")],
               "parameters": {"samples": 2}}
    forecast = {"model": "functions", "options": {"horizon": 2}, "inputs": [
        {"type": "univariate_time_series", "name": "a", "series": [1, 2, None, 4], "frequency": "D", "start_timestamp": "2024-01-01"}]}
    form_type, text, lines_type, bytes_type, js = (
        "multipart/form-data; boundary=B", "text/csv", "application/jsonl", "application/octet-stream", "application/json")
    return [(path, kind, body.encode() if isinstance(body, str) else body) for path, kind, body in [
        ("/v1/contexts?ttl=5", text, csv), ("/v1/contexts?ttl=5", lines_type, lines), ("/v1/contexts?ttl=5", form_type, form),
        ("/v1/contexts?ttl=5&input=0&target=1", bytes_type, npy([float(i % 5) for i in range(16)], (8, 2))),
        ("/v1/contexts?ttl=5&target=price", text, "kind,size,price\n" + wood),
        ("/v1/contexts", js, json.dumps({"rows": [{"x": i, "y": i % 3} for i in range(6)], "ttl": 5})),
        (f"/v1/contexts/{series}/sample", js, json.dumps(question)), (f"/v1/contexts/{series}/marginals", text, "x\n1\n2\n"),
        (f"/v1/contexts/{series}/functionals", js, json.dumps({"at": "3..5/1", "functional": ["sum", "argmax"], "samples": 3})),
        (f"/v1/contexts/{series}/logdensity", text, "x,y\n1,2\n2,2\n"), (f"/v1/contexts/{series}/score?samples=3", text, "x,y\n1,2\n"),
        (f"/v1/contexts/{series}/explain", js, json.dumps(question)),
        (f"/v1/contexts/{table}/sample?samples=2", text, "size\n3\n5\n"),
        (f"/v1/contexts/{table}/marginals", js, json.dumps({"points": [{"size": 3}, {"size": None}], "samples": 2, "given": "1.price>1"})),
        (f"/v1/contexts/{table}/logdensity", text, "kind,size,price\nash,3,2\n"),
        ("/v1/explain", js, json.dumps({"context": 9, "targets": 3})), ("/v2/models/functions/infer", js, json.dumps(tensors)),
        ("/v1/timeseries/forecast", js, json.dumps(forecast)),
    ]]


def mutate(stream, body, others):
    body = bytearray(body)
    for _ in range(stream.choice([1, 1, 2, 4, 8])):
        at = stream.randrange(len(body) + 1)
        to = min(len(body), at + stream.choice([1, 2, 8, 40]))
        way = stream.randrange(6)
        if way == 0:
            body[at:to] = b""
        elif way == 1:
            body[at:at] = body[at:to] * stream.choice([1, 2, 50])
        elif way == 2:
            body[at:to] = stream.choice(WORDS)
        elif way == 3 and at < len(body):
            body[at] ^= 1 << stream.randrange(8)
        elif way == 4:
            other = stream.choice(others)[2]
            start = stream.randrange(len(other) + 1)
            body[at:to] = other[start:start + stream.choice([4, 30, 200])]
        else:
            body[at:at] = bytes(stream.randrange(256) for _ in range(stream.choice([1, 3])))
    return bytes(body)


def keep(base, path, body):
    request = urllib.request.Request(base + path, body.encode(), {"content-type": "text/csv"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = f"http://{options.host}:{options.port}"
    wood = "kind,size,price\n" + "".join(f"{'ash elm oak'.split()[i % 3]},{i * 3 % 7},{i % 5 + i / 9}\n" for i in range(24))
    series = keep(base, "/v1/contexts?input=x&target=y", "x,y\n" + "".join(f"{i / 4},{i * 7 % 5}\n" for i in range(20)))
    table = keep(base, "/v1/contexts?target=kind,price", wood)
    right = seeds(series, table)
    outcomes, start = {}, time.perf_counter()

    async def one(number):
        stream = random.Random(options.seed * 1000 + number)
        reader = writer = None
        while time.perf_counter() - start < options.seconds:
            path, kind, body = stream.choice(right)
            body = mutate(stream, body, right)
            kind = kind if stream.random() < 0.9 else stream.choice(right)[1]
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(options.host, options.port)
                writer.write(f"POST {path} HTTP/1.1\r\nhost: {options.host}\r\ncontent-type: {kind}\r\n"
                             f"content-length: {len(body)}\r\n\r\n".encode() + body)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
                status = int(head.split()[1])
                await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                if "connection: close" in head:
                    writer.close()
                    writer = None
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError, IndexError):
                status, writer = "lost", None
            if status in (500, "lost"):
                print(f"{status}: {path} {kind} {body[:400]!r}", flush=True)
            outcomes[status] = outcomes.get(status, 0) + 1

    await asyncio.gather(*(one(number) for number in range(options.connections)))
    with urllib.request.urlopen(base + "/healthz") as answer:
        lives = answer.status == 200
    print(f"{sum(outcomes.values())} bodies in {time.perf_counter() - start:.0f} s: "
          + ", ".join(f"{status}: {count}" for status, count in sorted(outcomes.items(), key=str)))
    raise SystemExit(0 if lives and not outcomes.get(500) and not outcomes.get("lost") else 1)


asyncio.run(main())
