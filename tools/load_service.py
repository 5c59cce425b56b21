#!/usr/bin/env python3
"""Loads `chorus serve` and says how it answers: requests a second, latencies, outcomes, memory.

    .build/release/chorus serve --port 8080 --quiet &
    tools/load_service.py --pid $! --capacity             # as fast as it answers
    tools/load_service.py --pid $! --rate 70 --seconds 30 # requests come at random times, whatever is answered
    tools/load_service.py --pid $! --sweep load.csv       # what it can do, then parts and multiples of that
    tools/load_service.py --pid $! --overload 2 --requests 100000 --trace memory.csv   # twice what it can do, with memory beside
    tools/load_service.py --pid $! --table category --rows 500 --points 10 --samples 100 --capacity --connections 1   # one question after another
    tools/load_picture.py load.csv load.svg
    tools/load_picture.py memory.csv memory.svg

The question is one to a kept context: --rows of a wave, --points, --samples paths; with --table rows of ten numbers and, drawn for
--points further rows, a number, a category of three levels, or both together. Every request has a seed of its own but every tenth, whose
answers are compared: the same question has the same bytes.
"""
import argparse
import asyncio
import json
import math
import os
import random
import re
import time
import urllib.request


def make_context(base, rows, model):
    text = "x,y\n" + "".join(f"{i / 10},{math.sin(i / 10) + 0.1 * math.sin(i * 7.3)}\n" for i in range(rows))
    request = urllib.request.Request(
        f"{base}/v1/contexts?model={model}&input=x&target=y", text.encode(), {"content-type": "text/csv"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


COLUMNS = 10
TARGETS = {"number": ["y"], "category": ["kind"], "both": ["kind", "y"]}


def table_row(stream, targets):
    """Ten numbers, and what they tell of the targets."""
    x = [stream.gauss(0, 1) for _ in range(COLUMNS)]
    level = x[0] + 0.5 * x[1] * x[2] + 0.5 * stream.gauss(0, 1)
    told = {"y": math.sin(2 * x[3]) + level, "kind": "low" if level < -0.5 else "high" if level > 0.5 else "middle"}
    return {**{f"x{i}": round(v, 4) for i, v in enumerate(x)}, **{name: told[name] for name in targets}}


def make_table(base, rows, targets):
    """A kept table, read by the models that the server has for its targets, and how long that took."""
    stream, start = random.Random(1), time.perf_counter()
    body = json.dumps({"rows": [table_row(stream, targets) for _ in range(rows)]}).encode()
    request = urllib.request.Request(
        f"{base}/v1/contexts?target={','.join(targets)}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)
    print(f"{rows} rows kept in {time.perf_counter() - start:.2f} s, read by {told.get('model')}, classes: {told.get('classes')}")
    return told["id"]


def memory(pid):
    """MiB of a process: now and at most."""
    values = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(("VmRSS", "VmHWM")):
                name, value = line.split(":")
                values[name] = int(value.split()[0]) // 1024
    return values.get("VmRSS", 0), values.get("VmHWM", 0)


def processor(pid):
    """Seconds of processor that a process has taken."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """Connections that are used again."""

    def __init__(self, host, port, request):
        self.host, self.port, self.request, self.count = host, port, request, 0
        self.free, self.outcomes, self.latencies, self.first = [], {}, [], None
        self.different = self.lost = 0

    async def ask(self):
        start = time.perf_counter()
        seed = self.count if self.count % 10 else 0
        self.count += 1
        reader = writer = None
        try:
            # The server closes what says nothing for a minute.
            while self.free and self.free[-1][0].at_eof():
                self.free.pop()[1].close()
            reader, writer = self.free.pop() if self.free else await asyncio.open_connection(self.host, self.port)
            writer.write(self.request(seed))
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            status = int(head.split()[1])
            length = int(head.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in head else 0
            body = await reader.readexactly(length)
            if "connection: close" in head:
                writer.close()
            else:
                self.free.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.lost += 1
            if writer:
                writer.close()
            return
        self.outcomes[status] = self.outcomes.get(status, 0) + 1
        if status == 200:
            self.latencies.append(time.perf_counter() - start)
            if seed == 0:
                self.first = self.first or body
                self.different += body != self.first

    def close(self):
        for _, writer in self.free:
            writer.close()

    def at(self, share):
        """A quantile of the latencies, in milliseconds."""
        latencies = sorted(self.latencies)
        return 1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else math.nan

    def report(self, seconds, pid, before):
        at = self.at
        print(f"{sum(self.outcomes.values())} answers in {seconds:.1f} s, {self.outcomes.get(200, 0) / seconds:.1f} of 200 a second")
        print("outcomes " + ", ".join(f"{status}: {count}" for status, count in sorted(self.outcomes.items())))
        print(f"lost {self.lost}, with other bytes than the first {self.different}")
        print("milliseconds " + ", ".join(f"p{100 * share:g} {at(share):.1f}" for share in (0.5, 0.9, 0.99, 1)))
        if pid:
            print(f"memory {before[0]} MiB before, {memory(pid)[0]} after, {memory(pid)[1]} at most")
            spent = 1000 * (processor(pid) - before[2]) / max(1, sum(self.outcomes.values()))
            print(f"{spent:.2f} ms of processor an answer; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


async def as_fast(client, options, requests=None):
    """As many connections as are told, without a pause."""
    start, left = time.perf_counter(), requests or math.inf

    async def one():
        nonlocal left
        while left > 0 and (requests or time.perf_counter() - start < options.seconds):
            left -= 1
            await client.ask()
    await asyncio.gather(*(one() for _ in range(options.connections)))
    return time.perf_counter() - start


async def at_rate(client, options, rate):
    """Requests at random times, whatever is answered."""
    generator, tasks, start, left = random.Random(1), set(), time.perf_counter(), options.requests or math.inf
    due = start
    while left > 0 and (options.requests or time.perf_counter() - start < options.seconds):
        left -= 1
        due += generator.expovariate(rate)
        await asyncio.sleep(max(0, due - time.perf_counter()))
        task = asyncio.create_task(client.ask())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return time.perf_counter() - start


async def trace(clients, options, start):
    """A line of what was answered and of memory, now and then until it is cancelled."""
    with open(options.trace, "w") as file:
        print("seconds,answered,refused,lost,memory_mib", file=file)
        while True:
            outcomes = clients.outcomes
            answered = outcomes.get(200, 0)
            line = [time.perf_counter() - start, answered, sum(outcomes.values()) - answered, clients.lost, memory(options.pid)[0]]
            print(",".join(f"{value:.6g}" for value in line), file=file, flush=True)
            await asyncio.sleep(options.every)


async def overload(make, options):
    """A multiple of what it can do, for so many requests: each is answered or refused, and memory is looked at."""
    client = make()
    seconds = await as_fast(client, options)
    client.close()
    capacity = client.outcomes.get(200, 0) / seconds
    print(f"{capacity:.1f} a second by {options.connections} connections without a pause; load {os.getloadavg()[0]:.1f}", flush=True)
    client = make()
    seconds = await traced(client, options, options.overload * capacity)
    print(f"{options.overload * capacity:.1f} a second were sent")
    return client, seconds


async def traced(client, options, rate):
    """Requests at random times, with lines of what becomes of them where a file is told."""
    tracing = asyncio.create_task(trace(client, options, time.perf_counter())) if options.trace else None
    seconds = await at_rate(client, options, rate)
    if tracing:
        await asyncio.sleep(2 * options.every)
        tracing.cancel()
    return seconds


def counted(base):
    """How many questions the server says that it answered, by status."""
    with urllib.request.urlopen(base + "/metrics") as answer:
        found = re.findall(r'^chorus_requests_total{route="sample",status="(\d+)"} (\d+)$', answer.read().decode(), re.M)
    return {int(status): int(count) for status, count in found}


async def dawdle(host, port, request):
    """A client that sends a byte a second and again from the start when it is turned away."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
            for byte in request:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        except OSError:
            await asyncio.sleep(1)


async def sweep(make, options):
    """Latencies at parts and multiples of what it can do, a line each."""
    client = make()
    seconds = await as_fast(client, options)
    client.close()
    capacity = client.outcomes.get(200, 0) / seconds
    print(f"{capacity:.1f} a second by {options.connections} connections without a pause")
    with open(options.sweep, "w") as file:
        print("share,rate,seconds,answered,refused,lost,different,p50_ms,p90_ms,p99_ms", file=file)
        for share in SHARES:
            client = make()
            seconds = await at_rate(client, options, share * capacity)
            answered = client.outcomes.get(200, 0)
            refused = sum(client.outcomes.values()) - answered
            line = [share, share * capacity, seconds, answered, refused, client.lost, client.different,
                    *(client.at(part) for part in (0.5, 0.9, 0.99))]
            print(",".join(f"{value:.4g}" for value in line), file=file, flush=True)
            print(f"{share:4.0%}: {answered / seconds:.1f} a second answered, {refused} refused, {client.lost} lost, "
                  f"p50 {client.at(0.5):.1f} ms, p99 {client.at(0.99):.1f} ms", flush=True)
            client.close()
            await asyncio.sleep(1)


SHARES = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2]


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--model", default="functions")
    parser.add_argument("--table", choices=TARGETS, help="a table in place of a wave, and what is drawn of its further rows")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--requests", type=int, help="end after so many")
    parser.add_argument("--capacity", action="store_true", help="as many connections as --connections, without a pause")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rate", type=float, default=50, help="requests a second, at random times")
    parser.add_argument("--sweep", help="a file for the latencies at parts and multiples of the capacity, --seconds each")
    parser.add_argument("--overload", type=float, help="so many times the capacity, for --requests or --seconds")
    parser.add_argument("--trace", help="with --pid, a file for outcomes and memory over time, of --overload or --rate")
    parser.add_argument("--every", type=float, default=2, help="seconds between lines of --trace")
    parser.add_argument("--dawdlers", type=int, default=0, help="beside, clients that send a byte a second")
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    base = f"http://{options.host}:{options.port}"
    if options.table:
        context = make_table(base, options.rows, TARGETS[options.table])
        stream = random.Random(2)
        asked = {"points": [table_row(stream, []) for _ in range(options.points)]}
    else:
        context = make_context(base, options.rows, options.model)
        last = (options.rows - 1) / 10
        asked = {"at": f"{last + 0.1:.2f}..{last + options.points / 10:.2f}/0.1"}

    def request(seed):
        question = json.dumps({**asked, "samples": options.samples, "seed": seed})
        return (
            f"POST /v1/contexts/{context}/sample HTTP/1.1\r\nhost: {options.host}:{options.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(question)}\r\n\r\n{question}").encode()

    def make():
        return Client(options.host, options.port, request)

    if options.trace and not options.pid:
        parser.error("--trace needs --pid")
    client = make()
    before = (*memory(options.pid), processor(options.pid)) if options.pid else None
    await client.ask()
    slow = [asyncio.create_task(dawdle(options.host, options.port, request(0))) for _ in range(options.dawdlers)]
    if options.sweep:
        await sweep(make, options)
        if options.pid:
            print(f"memory {before[0]} MiB before, {memory(options.pid)[0]} after, {memory(options.pid)[1]} at most")
        return
    if options.overload:
        client, seconds = await overload(make, options)
    elif options.capacity:
        seconds = await as_fast(client, options, options.requests)
    else:
        seconds = await traced(client, options, options.rate)
    for task in slow:
        task.cancel()
    client.report(seconds, options.pid, before)
    print("in all the server counts " + ", ".join(f"{status}: {count}" for status, count in sorted(counted(base).items())))


asyncio.run(main())
