#!/usr/bin/env python3
"""Treats `chorus serve` as no client should, and asks beside whether others are still answered.

    .build/release/chorus serve --port 8080 &
    tools/abuse_service.py --pid $!              # about four minutes
    tools/abuse_service.py --pid $! --gigabytes 1 --connections 200 --quick

10 GB that are announced, and 10 GB that come in chunks; connections that say half a request, or nothing; bodies and readers of a byte a
second; headers without end; JSON that is none, or nested as deep as can be. Each line says what came back, how late another client was
answered meanwhile, and the server's memory.
"""
import argparse
import json
import socket
import threading
import time
import urllib.request


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


class Watch:
    """Another client, which asks for the health of the server all the time."""

    def __init__(self, base):
        self.base, self.slowest, self.failed, self.over = base, 0.0, 0, False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.over:
            start = time.monotonic()
            try:
                with urllib.request.urlopen(self.base + "/healthz", timeout=100) as answer:
                    self.failed += answer.status != 200
            except OSError:
                self.failed += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            time.sleep(0.2)

    def told(self):
        words = f"others were answered within {self.slowest:.2f} s" + (f", {self.failed} not at all" if self.failed else "")
        self.slowest, failed, self.failed = 0.0, self.failed, 0
        return words, failed


class Abuse:
    def __init__(self, options):
        self.options, self.base = options, f"http://{options.host}:{options.port}"
        self.watch, self.bad = Watch(self.base), 0

    def connect(self, timeout=60):
        return socket.create_connection((self.options.host, self.options.port), timeout=timeout)

    def say(self, name, what, holds):
        time.sleep(1)
        words, failed = self.watch.told()
        self.bad += not holds or failed > 0
        held = f"; {memory(self.options.pid)} MiB" if self.options.pid else ""
        print(f"{'ok  ' if holds and not failed else 'FAIL'} {name}: {what}; {words}{held}", flush=True)

    def answer(self, connection):
        """The status that comes back; 0 where the connection was closed without a word."""
        try:
            text = connection.recv(4096)
            return int(text.split()[1]) if text else 0
        except (OSError, IndexError, ValueError):
            return 0

    def post(self, path, body, kind="application/json"):
        with self.connect() as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n"
                               f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode())
            try:
                connection.sendall(body)
            except OSError:
                pass
            return self.answer(connection)

    def announced(self):
        size = int(self.options.gigabytes * 1e9)
        with self.connect() as connection:
            connection.sendall(f"POST /v1/contexts HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n".encode())
            status = self.answer(connection)
        self.say(f"{self.options.gigabytes:g} GB announced", f"{status} before any came", status == 413)

    def flood(self, chunked):
        """Sends all of it whatever the server says, as far as it takes it."""
        size, block, sent = int(self.options.gigabytes * 1e9), bytes(1 << 20), 0
        connection = self.connect(30)
        form = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
        connection.sendall(f"POST /v1/contexts HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n{form}\r\n\r\n".encode())
        start = time.monotonic()
        try:
            while sent < size:
                connection.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
                sent += len(block)
        except OSError:
            pass
        status = self.answer(connection)
        connection.close()
        self.say(f"{self.options.gigabytes:g} GB {'in chunks' if chunked else 'sent all the same'}",
                 f"{status or 'closed'} after {sent / 1e6:.0f} MB and {time.monotonic() - start:.1f} s",
                 sent < size and status in (0, 413))

    def half_open(self, text, name, many):
        held = []
        for _ in range(many):
            try:
                connection = self.connect(10)
                connection.sendall(text)
                held.append(connection)
            except OSError:
                break
        time.sleep(3)
        self.say(f"{len(held)} connections that {name}", "held for 3 s", len(held) == many)
        if self.options.quick:
            left = len(held)
        else:
            # A connection has 60 s to say something, a body 30 s to arrive.
            time.sleep(75)
            left = sum(self.is_open(connection) for connection in held)
            self.say("the same 75 s later", f"{left} are still open", left == 0)
        for connection in held:
            connection.close()

    @staticmethod
    def is_open(connection):
        connection.settimeout(0.01)
        try:
            while connection.recv(4096):
                pass
            return False
        except TimeoutError:
            return True
        except OSError:
            return False

    def headers(self):
        with self.connect() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
            sent = 0
            try:
                while sent < 1 << 26:
                    connection.sendall(b"x-%d: %s\r\n" % (sent, b"a" * 1000))
                    sent += 1000
            except OSError:
                pass
            status = self.answer(connection)
        self.say("headers without end", f"{status or 'closed'} after {sent // 1000} KB", sent < 1 << 22)

    def reader(self):
        """An answer of some megabytes that nobody takes."""
        rows = "x,y\n" + "".join(f"{i / 10},{i * 7 % 13}\n" for i in range(40))
        request = urllib.request.Request(self.base + "/v1/contexts?model=gp-noisy&input=x&target=y&ttl=600", rows.encode(),
                                         {"content-type": "text/csv"})
        with urllib.request.urlopen(request) as answer:
            context = json.load(answer)["id"]
        question = json.dumps({"at": "4..6/0.02", "samples": 1000, "plan": "independent"})
        held = []
        for _ in range(20):
            connection = self.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(f"POST /v1/contexts/{context}/sample HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                               f"content-length: {len(question)}\r\n\r\n{question}".encode())
            held.append(connection)
        time.sleep(5)
        self.say("20 clients that ask and do not read", "held for 5 s", True)
        for connection in held:
            connection.close()

    def json(self):
        found = {}
        for name, body in [
            ("cut", b'{"rows":[{"x":1'), ("deep", b'{"rows":' + b"[" * 1_000_000), ("deep objects", b'{"a":' * 300_000),
            ("no UTF-8", b'{"rows":"\xff\xfe"}'), ("long number", b'{"at":' + b"9" * 3_000_000 + b"}"),
            ("long text", b'{"at":"' + b"a" * 4_000_000 + b'"}'), ("keys", b"{" + b'"a":1,' * 500_000 + b'"a":1}'),
            ("escapes", b'{"at":"' + b"\\ud800" * 500_000 + b'"}'), ("5 MB", b"[" + b"1," * 2_500_000 + b"1]"), ("nulls", bytes(1 << 20)),
        ]:
            found[name] = self.post("/v1/contexts", body)
        self.say("JSON that is none", ", ".join(f"{name} {status}" for name, status in found.items()),
                 all(status in (400, 413, 422) for status in found.values()))

    def run(self):
        many = self.options.connections
        self.announced()
        self.flood(False)
        self.flood(True)
        self.headers()
        self.json()
        self.reader()
        self.half_open(b"POST /v1/contexts HTTP/1.1\r\nhost:", "say half a request", many)
        self.half_open(b"", "say nothing", many)
        self.half_open(b"POST /v1/contexts HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\ncontent-length: 1000\r\n\r\nx,y\n1,",
                       "send half a body", many // 4)
        with urllib.request.urlopen(self.base + "/healthz", timeout=60) as answer:
            self.say("afterwards", f"healthy: {answer.status}", answer.status == 200)
        return self.bad


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--pid", type=int, help="of the server, for its memory")
parser.add_argument("--gigabytes", type=float, default=10)
parser.add_argument("--connections", type=int, default=900, help="that are held open at once; the server has 1024")
parser.add_argument("--quick", action="store_true", help="do not wait until the server closes what is held open")
raise SystemExit(1 if Abuse(parser.parse_args()).run() else 0)
