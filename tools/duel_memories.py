#!/usr/bin/env python3
"""Memories of sequences beside their chunk forms in PyTorch, in turn, on the same numbers.

    python tools/duel_memories.py retention,mamba-2,gla,gated-delta,kimi-delta,mesa,ttt-linear-batches
    python tools/duel_memories.py gated-delta --tokens 512 --rounds 9 --compile

`chorus memories bench --write` writes the queries, keys, values and gates of a batch with what Chorus reads of the first
sequence and its gradients; PyTorch must give the same before anything is timed. Then the contestants run one after
the other in processes that stay: forward, forward with gradients, and one step of all sequences. Of PyTorch, every
length of chunk in --chunks is tried, eager and with --compile compiled too, and the best median counts. The chunk
forms are written as PyTorch does them best: all chunks in batched products, and a loop over the states alone; channel
gates by factors e^b and e^-b, which is only safe where gates are mild, as they are here. Times include the gates' own
functions and keys and queries brought to length 1, on both sides. Needs torch and numpy.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

TOLERANCE = 2e-4


def machine_seconds():
    with open("/proc/stat") as file:
        v = list(map(int, file.readline().split()[1:9]))
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read_tensors(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    return {name: torch.from_numpy(np.frombuffer(data[slice(*t["data_offsets"])], dtype=np.float32)
                                   .reshape(t["shape"]).copy())
            for name, t in header.items() if name != "__metadata__"}


# ---------------------------------------------------------------------------------------------
# Chunk forms. q, k, v: [batch, heads, tokens, width]; g: log of what a state keeps, [batch, heads, tokens] or one a column.
# ---------------------------------------------------------------------------------------------

def unit(x):
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def parts(x, chunk):
    return x.unflatten(2, (-1, chunk))


def states(decay, added):
    """S before each chunk, [batch, heads, chunks, rank, columns]; decay has a trailing axis of the rank or 1."""
    state, all_states = torch.zeros_like(added[:, :, 0]), []
    for n in range(added.shape[2]):
        all_states.append(state)
        state = decay[:, :, n, :, None] * state + added[:, :, n]
    return torch.stack(all_states, 2)


def linear(q, k, v, g, chunk):
    q, k, v, g = (parts(x, chunk) for x in (q, k, v, g))
    channels = g.dim() == q.dim()
    b = g.cumsum(3)
    last = b[:, :, :, -1:]
    if channels:
        asked, written = q * b.exp(), k * (-b).exp()
        kept, decay = k * (last - b).exp(), last.squeeze(3).exp()
        scores = (asked @ written.transpose(-1, -2)).tril()
    else:
        asked, kept, decay = q * b.exp()[..., None], k * (last - b).exp()[..., None], last.exp()
        differences = (b[..., :, None] - b[..., None, :]).clamp(max=0)
        scores = (q @ k.transpose(-1, -2) * differences.exp()).tril()
    before = states(decay, kept.transpose(-1, -2) @ v)
    return (scores @ v + asked @ before).flatten(2, 3)


def delta(q, k, v, g, beta, chunk):
    q, k, v, g, beta = (parts(x, chunk) for x in (q, k, v, g, beta))
    channels = g.dim() == q.dim()
    b = g.cumsum(3)
    last = b[:, :, :, -1:]
    beta = beta[..., None]
    if channels:
        grown = k * (-b).exp()
        asked, faded = q * b.exp(), k * b.exp()
        kept, decay = k * (last - b).exp(), last.squeeze(3).exp()
        scores = (asked @ grown.transpose(-1, -2)).tril()
        system = (beta * (faded @ grown.transpose(-1, -2))).tril(-1)
    else:
        factors = (b[..., :, None] - b[..., None, :]).clamp(max=0).exp()
        asked, faded = q * b.exp()[..., None], k * b.exp()[..., None]
        kept, decay = k * (last - b).exp()[..., None], last.exp()
        transposed = k.transpose(-1, -2)
        scores = (q @ transposed * factors).tril()
        system = (beta * (k @ transposed) * factors).tril(-1)
    both = torch.cat([beta * v, beta * faded], -1)
    solved = torch.linalg.solve_triangular(system, both, upper=False, unitriangular=True)
    u, w = solved[..., :v.shape[-1]], solved[..., v.shape[-1]:]
    state, before, rests = torch.zeros_like(kept[:, :, 0].transpose(-1, -2) @ u[:, :, 0]), [], []
    for n in range(u.shape[2]):
        before.append(state)
        rest = u[:, :, n] - w[:, :, n] @ state
        rests.append(rest)
        state = decay[:, :, n, :, None] * state + kept[:, :, n].transpose(-1, -2) @ rest
    return (asked @ torch.stack(before, 2) + scores @ torch.stack(rests, 2)).flatten(2, 3)


def mesa(q, k, v, g, beta, ridge, chunk, steps=8):
    queries = parts(q, chunk)
    k, v, g, beta = (parts(x, chunk) for x in (k, v, g, beta))
    b = g.cumsum(3)
    last = b[:, :, :, -1:]
    kept, decay = k * ((last - b).exp() * beta)[..., None], last.exp()
    factors = (b[..., :, None] - b[..., None, :]).clamp(max=0).exp().tril() * beta[..., None, :]
    faded, transposed = b.exp()[..., None], k.transpose(-1, -2)
    before = states(decay, kept.transpose(-1, -2) @ torch.cat([v, k], -1))
    g_states, h_states = before[..., :v.shape[-1]], before[..., v.shape[-1]:]

    def product(x):
        return (x * faded) @ h_states + (x @ transposed * factors) @ k + ridge * x

    def dot(a, b):
        return (a * b).sum(-1, keepdim=True)

    x, rest, direction = torch.zeros_like(queries), queries, queries
    square = dot(rest, rest)
    for _ in range(steps):
        image = product(direction)
        step = square / (dot(direction, image) + TINY)
        x, rest = x + step * direction, rest - step * image
        after = dot(rest, rest)
        direction, square = rest + after / (square + TINY) * direction, after
    return ((x * faded) @ g_states + (x @ transposed * factors) @ v).flatten(2, 3)


TINY = 1e-30
BATCH = 16


def ttt(q, k, v, rate, pace, start, gain, bias, chunk):
    """TTT-Linear in its dual form: gradients where a mini-batch begins, sums of them as products with scores. A mini-batch is
    part of the model, so `chunk` is always BATCH."""
    def ones(x):
        return torch.cat([x, torch.ones_like(x[..., :1])], -1)

    q, k, v, rate = (parts(x, BATCH) for x in (q, k, v, rate))
    asked, keys = ones(q), ones(k)
    scores = (asked @ keys.transpose(-1, -2) * rate[..., None, :]).tril() * pace[:, None, :, None]
    last, outs, state = rate * pace[:, None, -1:], [], start
    for n in range(q.shape[2]):
        slope = inner_slope(keys[:, :, n] @ state, k[:, :, n], v[:, :, n], gain, bias)
        z = asked[:, :, n] @ state - scores[:, :, n] @ slope
        outs.append(q[:, :, n] + normalised(z)[0] * gain + bias)
        state = state - (keys[:, :, n] * last[:, :, n, :, None]).transpose(-1, -2) @ slope
    return torch.stack(outs, 2).flatten(2, 3)


def normalised(z):
    """To mean 0 and deviation 1, and one over the deviation."""
    z = z - z.mean(-1, keepdim=True)
    inverse = torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-5)
    return z * inverse, inverse


def inner_slope(z, k, v, gain, bias):
    """The gradient by z of the square of k + LN(z) - v, halved."""
    hat, inverse = normalised(z)
    slope = gain * (k + hat * gain + bias - v)
    return (slope - slope.mean(-1, keepdim=True) - hat * (slope * hat).mean(-1, keepdim=True)) * inverse


class Rows:
    """A batch's rows as Chorus lays them out: keys of all heads, values, then each gate; `[batch, tokens, columns]`."""

    def __init__(self, queries, stored, parameters, heads, width):
        self.heads, self.width, self.parameters = heads, width, parameters
        self.queries, self.stored = queries, stored

    def take(self, x, first, width):
        part = x[..., first:first + self.heads * width].unflatten(-1, (self.heads, width)).transpose(-2, -3)
        return part.squeeze(-1) if width == 1 else part

    def read(self, queries, stored):
        d, n = self.width, self.heads * self.width
        q, k, v = self.take(queries, 0, d), self.take(stored, 0, d), self.take(stored, n, d)
        return q, k, v, lambda place, width=1: self.take(stored, 2 * n + place * self.heads, width)


def number(rows, name, wide=False):
    p = rows.parameters[name]
    return p.unflatten(0, (rows.heads, 1, rows.width)) if wide else p[:, None]


def forms(rows, name):
    """What a memory makes of its rows: (kind, q, k, v, g, others)."""
    def prepare(queries, stored):
        q, k, v, gate = rows.read(queries, stored)
        if name == "retention":
            fades = torch.log1p(-2.0 ** -(5 + torch.arange(rows.heads)))
            return "linear", q, k, v, fades[:, None].expand(q.shape[:-1]), ()
        if name == "mamba-2":
            step = F.softplus(gate(0) + number(rows, "step"))
            return "linear", q, k, v * step[..., None], -step * number(rows, "speed").exp(), ()
        if name == "gla":
            return "linear", q, k, v, F.logsigmoid(gate(0, rows.width) + number(rows, "keep", True)) / 16, ()
        if name == "ttt-linear-batches":
            d = rows.width
            rate = torch.sigmoid(gate(0) + number(rows, "rate")) / d
            learned = rows.parameters["pace"].unflatten(0, (rows.heads, BATCH))
            pace = (1 + learned).clamp(min=0) / torch.arange(1, BATCH + 1)
            start = rows.parameters["start.0"].unflatten(0, (rows.heads, d + 1, d))
            norm = [number(rows, n, True) for n in ("gain", "bias")]
            return "ttt", q, k, v, rate, (pace, start, *norm)
        q, k = unit(q), unit(k)
        if name == "gated-delta":
            g = F.logsigmoid(gate(0) + number(rows, "keep")) / 16
            return "delta", q, k, v, g, (torch.sigmoid(gate(1) + number(rows, "rate")),)
        if name == "kimi-delta":
            g = F.logsigmoid(gate(0, rows.width) + number(rows, "keep", True)) / 16
            return "delta", q, k, v, g, (torch.sigmoid(gate(rows.width) + number(rows, "rate")),)
        if name == "mesa":
            g = F.logsigmoid(gate(0) + number(rows, "keep")) / 16
            ridge = F.softplus(number(rows, "ridge")) + 0.25
            return "mesa", q, k, v, g, (torch.sigmoid(gate(1) + number(rows, "rate")), ridge[:, :, None, None])
        raise SystemExit(f"{name} has no form here")
    return prepare


KINDS = {"linear": linear, "delta": delta, "mesa": mesa, "ttt": ttt}


def whole(prepare, chunk):
    def run(queries, stored):
        kind, q, k, v, g, others = prepare(queries, stored)
        read = KINDS[kind](q, k, v, g, *others, chunk)
        return read.transpose(1, 2).flatten(2)
    return run


def stepping(prepare):
    """One token of all sequences: the state goes on and is read."""
    def run(state, queries, stored):
        kind, q, k, v, g, others = prepare(queries, stored)
        q, k, v = q[:, :, 0], k[:, :, 0], v[:, :, 0]
        if kind == "ttt":
            # The map where the mini-batch began, and the gradients since, whose place in it changes no work.
            pace, start, gain, bias = others
            one = torch.ones_like(q[..., :1])
            asked, key = torch.cat([q, one], -1), torch.cat([k, one], -1)
            begun, sums = state[..., :q.shape[-1]], state[..., q.shape[-1]:]
            gain, bias = gain[:, 0], bias[:, 0]
            slope = inner_slope((key[..., None, :] @ begun).squeeze(-2), k, v, gain, bias)
            sums = sums + key[..., :, None] * (g[:, :, 0, None] * slope)[..., None, :]
            z = (asked[..., None, :] @ (begun - pace[:, 0, None, None] * sums)).squeeze(-2)
            return torch.cat([begun, sums], -1), q + normalised(z)[0] * gain + bias
        decay = g[:, :, 0].exp()
        decay = decay[..., None] if g.dim() == 4 else decay[..., None, None]
        if kind == "mesa":
            beta, ridge = others[0][:, :, 0, None], others[1][:, 0]
            state = decay * state + k[..., :, None] * (beta * torch.cat([v, k], -1))[..., None, :]
            g_state, h = state[..., :v.shape[-1]], state[..., v.shape[-1]:]
            x, rest, direction = torch.zeros_like(q), q, q
            square = (rest * rest).sum(-1, keepdim=True)
            for _ in range(8):
                image = (direction[..., None, :] @ h).squeeze(-2) + ridge[..., 0] * direction
                step = square / ((direction * image).sum(-1, keepdim=True) + TINY)
                x, rest = x + step * direction, rest - step * image
                after = (rest * rest).sum(-1, keepdim=True)
                direction, square = rest + after / (square + TINY) * direction, after
            return state, (x[..., None, :] @ g_state).squeeze(-2)
        state = decay * state
        if kind == "delta":
            v = others[0][:, :, 0, None] * (v - (k[..., None, :] @ state).squeeze(-2))
        state = state + k[..., :, None] * v[..., None, :]
        return state, (q[..., None, :] @ state).squeeze(-2)
    return run


# ---------------------------------------------------------------------------------------------
# The duel
# ---------------------------------------------------------------------------------------------

class Chorus:
    def __init__(self, options, name):
        self.command = [options.program, "memories", "bench", name, "--tokens", str(options.tokens), "--batch",
                        str(options.batch), "--heads", str(options.heads), "--width", str(options.width),
                        "--threads", str(options.threads)]
        self.process = None

    def write(self, path):
        subprocess.run(self.command + ["--write", path], check=True)

    def ask(self, line):
        if self.process is None:
            self.process = subprocess.Popen(self.command + ["--requests"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["processor"]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def agree(what, theirs, ours):
    gap = float((theirs - ours).abs().max() / ours.abs().max().clamp(min=1e-3))
    if not gap < TOLERANCE:
        raise SystemExit(f"{what}: the numbers differ by {gap:.1e} of the largest; nothing was timed")
    return gap


def check(name, rows, tensors, chunk):
    queries, stored = tensors["queries"][:1].clone(), tensors["stored"][:1].clone()
    learned = [queries.requires_grad_(), stored.requires_grad_()]
    names = list(rows.parameters)
    plain = rows.parameters
    rows.parameters = {n: plain[n].clone().requires_grad_() for n in names}
    read = whole(forms(rows, name), chunk)(queries, stored)
    found = torch.autograd.grad((read * tensors["given"][:1]).sum(), learned + list(rows.parameters.values()),
                                allow_unused=True)
    rows.parameters = plain
    gaps = [agree(f"{name}, read", read.detach()[0], tensors["read"]),
            agree(f"{name}, gradient of queries", found[0][0], tensors["gradient.queries"]),
            agree(f"{name}, gradient of rows", found[1][0], tensors["gradient.stored"])]
    for n, gradient in zip(names, found[2:]):
        if gradient is not None:
            gaps.append(agree(f"{name}, gradient of {n}", gradient, tensors["gradient.parameter." + n]))
    print(f"equal numbers: {name} within {max(gaps):.1e} of the largest", file=sys.stderr)


def timed(work, times=1):
    """Seconds of one call by the clock, and of the processor."""
    start, own = time.perf_counter(), own_seconds()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times, (own_seconds() - own) / times


def duel(options, name):
    chorus = Chorus(options, name)
    with tempfile.TemporaryDirectory() as folder:
        chorus.write(folder + "/rows.safetensors")
        tensors = read_tensors(folder + "/rows.safetensors")
    parameters = {n.removeprefix("parameter."): t for n, t in tensors.items() if n.startswith("parameter.")}
    rows = Rows(tensors["queries"], tensors["stored"], parameters, options.heads, options.width)
    # Mini-batches are of one length.
    chunks = [BATCH] if name.startswith("ttt") else [int(c) for c in options.chunks.split(",")]
    for chunk in chunks:
        check(name, rows, tensors, chunk)
    prepare = forms(rows, name)
    queries, stored, given = tensors["queries"], tensors["stored"], tensors["given"]
    learning = [queries.clone().requires_grad_(), stored.clone().requires_grad_()]

    def forward(run):
        with torch.no_grad():
            return run(queries, stored)

    def both(run):
        for x in learning:
            x.grad = None
        run(*learning).backward(given)

    one, step = torch.compile if options.compile else None, stepping(prepare)
    columns = 2 * options.width if name == "mesa" or name.startswith("ttt") else options.width
    rank = options.width + name.startswith("ttt")
    state = torch.zeros(options.batch, options.heads, rank, columns)
    first = queries[:, :1].contiguous(), stored[:, :1].contiguous()

    def decode(run):
        with torch.no_grad():
            run(state, *first)

    contestants = {"forward": {}, "both": {}, "step": {}}
    for chunk in chunks:
        run = whole(prepare, chunk)
        versions = [(f"eager {chunk}", run)] + ([(f"compiled {chunk}", one(run))] if one else [])
        for label, run in versions:
            contestants["forward"][label] = lambda run=run: timed(lambda: forward(run))
            contestants["both"][label] = lambda run=run: timed(lambda: both(run))
    for label, run in [("eager", step)] + ([("compiled", one(step))] if one else []):
        contestants["step"][label] = lambda run=run: timed(lambda: decode(run), 100)
    for kind, those in contestants.items():
        def ours(kind=kind):
            return [x / 200 for x in chorus.ask("step 200")] if kind == "step" else chorus.ask(kind)
        those["chorus"] = ours
        for run in those.values():
            run()
        spent = {label: [] for label in those}
        before, start = machine_seconds(), time.perf_counter()
        for _ in range(options.rounds):
            for label, run in those.items():
                spent[label].append(run())
        busy = (machine_seconds() - before) / (time.perf_counter() - start)
        seconds = {label: [clock[options.by == "processor"] for clock in clocks] for label, clocks in spent.items()}
        best = min((label for label in those if label != "chorus"), key=lambda l: statistics.median(seconds[l]))
        ratios = [theirs / mine for theirs, mine in zip(seconds[best], seconds["chorus"])]
        line = {"memory": name, "pass": kind, "by": options.by}
        for label, those_seconds in [("chorus", seconds["chorus"]), ("torch", seconds[best])]:
            line |= {f"{label}_ms": round(1e3 * statistics.median(those_seconds), 4),
                     f"{label}_min": round(1e3 * min(those_seconds), 4),
                     f"{label}_max": round(1e3 * max(those_seconds), 4)}
        line |= {"best": best, "ratio": round(statistics.median(ratios), 3), "ratio_min": round(min(ratios), 3),
                 "ratio_max": round(max(ratios), 3), "cores_in_use": round(busy, 2), "threads": options.threads,
                 "version": torch.__version__}
        print(json.dumps(line), flush=True)
        print(f"{name:12} {kind:8} {line['chorus_ms']:9.3f} ms  {best} {line['torch_ms']:9.3f} ms  "
              f"{line['ratio']:.2f} x ({min(ratios):.2f}-{max(ratios):.2f})", file=sys.stderr)
    chorus.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memories", nargs="?",
                        default="retention,mamba-2,gla,gated-delta,kimi-delta,mesa,ttt-linear-batches")
    parser.add_argument("--program", default=".build/release/chorus")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--by", choices=["clock", "processor"], default="clock",
                        help="seconds of the clock, or of the processor where others use the machine")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", default="32,64,128", help="lengths of PyTorch's chunks; they divide --tokens")
    parser.add_argument("--compile", action="store_true", help="torch.compile beside eager")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.memories.split(","):
        duel(options, name)


if __name__ == "__main__":
    main()
