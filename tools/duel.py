#!/usr/bin/env python3
"""Chorus and what a user would run instead, in turn, on the same network and the same numbers.

    python tools/duel.py sample --paths 32,64,128,256
    python tools/duel.py sample --context 1024 --targets 16 --paths 32
    python tools/duel.py density --orders 128 --targets 16
    python tools/duel.py train --batch 16,64
    python tools/duel.py sample --paths 32 --busy

Chorus writes fresh weights to a file, the peers read it. Before anything is timed, each peer must give the
numbers of Chorus: drawn values for equal random numbers (the streams of Chorus are computed here again),
densities under equal orders, the loss and gradient of a training step on equal tasks. Then the contestants
run one after the other, A B C A B C, in processes that stay; a run during which anything else used more
than a seventh of a core is repeated. Reported are medians, and the ratio to Chorus of every round, with
its least and largest.

The peers are PyTorch in float32: `naive` re-encodes context and drawn values at every step, as neural
processes are run today; `cat`, `fold` and `copy` are three ways to keep keys and values; `eager` and
`compiled` are training steps. Needs numpy, scipy and torch; scikit-learn if there is one.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from scipy.special import ndtri

import train_torch
from duel_peers import MEMORIES, Peer, Steps, Student, gaussian_process, sklearn_process

MASK = (1 << 64) - 1
# A fresh network hardly minds what it reads: a missing role embedding moves its draws by 2e-4, rounding by 1e-6.
TOLERANCE = 1e-5


# ---------------------------------------------------------------------------------------------
# Chorus: a process that stays, and its random streams
# ---------------------------------------------------------------------------------------------

class Chorus:
    """`chorus bench --requests`: one JSON object a line, there and back."""

    def __init__(self, program, threads):
        self.process = subprocess.Popen([program, "bench", "--requests", "--threads", str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, do, **fields):
        self.process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("chorus ended; its last words are above")
        answer = json.loads(line)
        if answer.get("error"):
            raise SystemExit(f"chorus: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Stream:
    """Sources/ChorusTensors/RandomStream.swift: Philox4x32-10 with keys folded from a path."""

    def __init__(self, seed, *path):
        self.key, self.salt, self.position, self.words = seed, 0x43686F7275732031, 0, []
        for element in path:
            self.key, self.salt = self.halves(element, self.salt, ~self.key & MASK)

    @staticmethod
    def halves(low, high, key):
        c = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
        k0, k1 = key & 0xFFFFFFFF, key >> 32
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        return c[1] << 32 | c[0], c[3] << 32 | c[2]

    def bits(self):
        if not self.words:
            self.words = list(self.halves(self.position, self.salt, self.key))
            self.position += 1
        return self.words.pop(0)

    def uniform(self):
        return (self.bits() >> 11) * 2.0 ** -53

    def normal(self):
        return float(ndtri(((self.bits() >> 12) + 0.5) * 2.0 ** -52))

    def permutation(self, count):
        items = list(range(count))
        for i in range(count):
            j = i + (self.bits() * (count - i) >> 64) if count - i > 1 else i
            items[i], items[j] = items[j], items[i]
        return items


SHAPES, PATHS, ORDERS = 2, 4, 5      # domains of streams


def noise(seed, paths, targets):
    """Orders [B, K] (position to target) and the uniform and normal of each path and target [B, K]."""
    orders = [Stream(seed, ORDERS, b).permutation(targets) for b in range(paths)]
    uniforms, normals = torch.empty(paths, targets, dtype=torch.float64), torch.empty(paths, targets, dtype=torch.float64)
    for b in range(paths):
        for k in range(targets):
            stream = Stream(seed, PATHS, b, k)
            uniforms[b, k], normals[b, k] = stream.uniform(), stream.normal()
    return torch.tensor(orders), uniforms.float(), normals.float()


# ---------------------------------------------------------------------------------------------
# The clock
# ---------------------------------------------------------------------------------------------

def machine_seconds():
    """Processor seconds that everything on this machine has used, 0 where nobody tells."""
    try:
        with open("/proc/stat") as file:
            v = list(map(int, file.readline().split()[1:9]))
        return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def growth(work):
    """Bytes that resident memory grows by at the most while `work` runs, freed memory given back first; Linux only."""
    def field(name):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = field("VmRSS:")
        work()
        return max(0, field("VmHWM:") - before)
    except (OSError, AttributeError, StopIteration):
        return None


class Arena:
    """Runs contestants in turn. One is a function that gives its seconds and the processor seconds it used."""

    # Threads of OpenMP and BLAS wait for more work in a loop, up to a fifth of a second; not in another's turn.
    PAUSE = 0.25

    def __init__(self, rounds, gate):
        self.rounds, self.gate = rounds, gate

    def once(self, run):
        time.sleep(self.PAUSE)
        for _ in range(2):
            machine, start = machine_seconds(), time.perf_counter()
            seconds, own = run()
            used = max(0.0, machine_seconds() - machine - own) / max(time.perf_counter() - start, 0.1)
            if seconds > 2:
                break                                       # short ones go again, with caches and clock as they leave them
        return seconds, used

    def compare(self, contestants):
        """{name: seconds of each round}, and what others used at the most."""
        seconds, others = {name: [] for name in contestants}, 0.0
        for _ in range(self.rounds):
            for name, run in contestants.items():
                best = None
                for _attempt in range(4 if self.gate else 1):      # a run that others disturbed is repeated
                    found = self.once(run)
                    best = min(best, found, key=lambda f: f[1]) if best else found
                    if best[1] < 0.15 or found[0] > 10:
                        break
                seconds[name].append(best[0])
                others = max(others, best[1])
        return seconds, others


def here(work, times=1):
    """A contestant in this process; `times` calls a run, where one is too short to be timed."""
    def run():
        own, start = own_seconds(), time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times, own_seconds() - own
    return run


def there(chorus, times=1, **request):
    def run():
        answers = [chorus.ask(**request) for _ in range(times)]
        return sum(a["seconds"] for a in answers) / times, sum(a["processor"] for a in answers)
    return run


def report(options, record, seconds, others, scale=None, memory=None):
    """A table for people on stderr, JSON lines on stdout. `scale` multiplies times of contestants run on less."""
    scale, memory = scale or {}, memory or {}
    seconds = {name: [s * scale.get(name, 1) for s in times] for name, times in seconds.items()}
    ours = seconds["chorus"]
    cached = [name for name in MEMORIES if name in seconds]
    best = min(cached, key=lambda name: statistics.median(seconds[name]), default=None)
    title = " ".join(f"{key}={value}" for key, value in record.items())
    print(f"\n{title}   (others used up to {others:.2f} core)", file=sys.stderr)
    for name, times in seconds.items():
        ratios = [theirs / mine for theirs, mine in zip(times, ours)]
        line = {**record, "contestant": name, "best_cached": name == best, "runs": len(times),
                "seconds": statistics.median(times), "seconds_min": min(times), "seconds_max": max(times),
                "ratio": statistics.median(times) / statistics.median(ours), "ratio_min": min(ratios),
                "ratio_max": max(ratios), "extrapolated": scale.get(name, 1) != 1, "others": round(others, 3),
                "busy": options.busy, "precision": options.precision, "threads": options.threads, "torch": torch.__version__,
                "bytes": memory.get(name)}
        print(json.dumps(line), flush=True)
        note = f"   {memory[name] / 1e6:.0f} MB" if memory.get(name) else ""
        note += " <- best cached" if name == best else " (extrapolated)" if line["extrapolated"] else ""
        print(f"  {name:18} {line['seconds'] * 1e3:10.2f} ms ({min(times) * 1e3:.2f}-{max(times) * 1e3:.2f})"
              f"   {line['ratio']:8.2f} x ({line['ratio_min']:.2f}-{line['ratio_max']:.2f}){note}", file=sys.stderr)


def agree(what, theirs, ours, tolerance=TOLERANCE):
    theirs, ours = np.asarray(theirs, dtype=np.float64), np.asarray(ours, dtype=np.float64)
    gap = float(np.max(np.abs(theirs - ours) / np.maximum(1, np.abs(ours))))
    if not gap < tolerance:
        raise SystemExit(f"{what}: the numbers differ by {gap:.2e} from those of Chorus; nothing was timed")
    print(f"equal numbers: {what} within {gap:.1e}", file=sys.stderr)


# ---------------------------------------------------------------------------------------------
# The duels
# ---------------------------------------------------------------------------------------------

def numbers(text):
    return [int(part) for part in text.split(",")]


def setting(options, N, K, chorus):
    """Network and data of a duel, the same on both sides."""
    blueprint = {"width": options.width, "layers": options.layers, "heads": options.heads,
                 "feedForward": options.feed_forward, "embedderHidden": options.hidden, "headHidden": options.hidden,
                 "components": 20, "frequencies": options.frequencies, "trainedContext": N}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.safetensors")
        chorus.blueprint = blueprint
        chorus.ask("model", blueprint=blueprint, seed=1, write=path)
        blueprint, parameters = train_torch.load(path)
    generator = np.random.default_rng(0)
    x = np.float32(generator.uniform(-2, 2, N))
    y = np.float32(np.sin(3 * x) + 0.1 * generator.standard_normal(N))
    at = np.float32(generator.uniform(-2, 2, K))
    data = {"x": x.tolist(), "y": y.tolist(), "at": at.tolist()}
    return blueprint, parameters, data, tuple(torch.from_numpy(v) for v in (x, y, at))


def rounding(options, chorus, data=None, **request):
    """Lets Chorus round its matrix products if so asked, after its numbers were found equal without; tells what that moves."""
    if options.precision == "f32":
        return
    before = chorus.ask(**data, **request, values=True)["values"] if data else None
    chorus.ask("model", blueprint=chorus.blueprint, seed=1, precision=options.precision)
    if data:
        gaps = np.abs(np.asarray(chorus.ask(**data, **request, values=True)["values"]) - np.asarray(before))
        print(f"rounded to {options.precision}: numbers move by {gaps.mean():.1e} in the mean, {gaps.max():.1e} at most",
              file=sys.stderr)


def sample(options, chorus, arena):
    for N in numbers(options.context):
        for K in numbers(options.targets):
            blueprint, parameters, data, given = setting(options, N, K, chorus)
            peer = Peer(blueprint, parameters)
            kinds = [kind for kind in options.peers.split(",") if kind in MEMORIES]
            equal = noise(3, 4, K)
            ours = chorus.ask("sample", **data, paths=4, seed=3, values=True)["values"]
            for kind in kinds:
                agree(f"sample, {kind}, N={N} K={K}", peer.cached(kind, *given, *equal), ours)
            if "naive" in options.peers:
                ours = chorus.ask("sample", **data, paths=4, seed=3, plan="reencode", values=True)["values"]
                agree(f"sample, naive, N={N} K={K}", peer.naive(*given, *equal), ours)
            rounding(options, chorus, data, do="sample", paths=4, seed=3)
            for B in numbers(options.paths):
                generator = torch.Generator().manual_seed(B)
                orders = torch.rand(B, K, generator=generator).argsort(-1)
                draws = orders, torch.rand(B, K, generator=generator), torch.randn(B, K, generator=generator)
                times = max(1, 64 // B) if B < 64 else 1
                contestants = {"chorus": there(chorus, times, do="sample", **data, paths=B, seed=1)}
                for kind in kinds:
                    contestants[kind] = here(lambda kind=kind: peer.cached(kind, *given, *draws), max(1, times // 8))
                scale = {}
                if "naive" in options.peers:
                    few = min(B, options.naive_paths)
                    contestants["naive"] = here(lambda: peer.naive(*given, *(d[:few] for d in draws)))
                    if few < B:
                        scale["naive"] = B / few
                if "gp" in options.peers:
                    x, y, at = (v.double().numpy() for v in given)
                    source = np.random.default_rng(1)
                    contestants["gp-scipy"] = here(lambda: gaussian_process(x, y, at, B, source))
                    try:
                        sklearn_process(x, y, at, 1)
                        contestants["gp-sklearn"] = here(lambda: sklearn_process(x, y, at, B))
                    except ImportError:
                        print("gp-sklearn is left out: there is no scikit-learn", file=sys.stderr)
                seconds, others = arena.compare(contestants)
                memory = {kind: growth(lambda: peer.cached(kind, *given, *draws)) for kind in kinds}
                memory["chorus"] = chorus.ask("sample", **data, paths=B, seed=1, memory=True).get("memory")
                report(options, {"mode": "sample", "N": N, "K": K, "B": B}, seconds, others, scale, memory)


def density(options, chorus, arena):
    for N in numbers(options.context):
        for K in numbers(options.targets):
            blueprint, parameters, data, given = setting(options, N, K, chorus)
            peer = Peer(blueprint, parameters)
            yt = torch.sin(3 * given[2])
            data["of"] = yt.tolist()
            kinds = [kind for kind in options.peers.split(",") if kind in MEMORIES]
            for R in numbers(options.orders):
                chorus.ask("model", blueprint=chorus.blueprint, seed=1)
                orders = torch.tensor([Stream(3, ORDERS, r).permutation(K) for r in range(R)])
                ours = chorus.ask("density", **data, orders=R, seed=3, values=True)["values"][0]
                for kind in kinds:
                    agree(f"density, {kind}, N={N} K={K}", peer.score(kind, *given, yt, orders), ours)
                rounding(options, chorus, data, do="density", orders=R, seed=3)
                contestants = {"chorus": there(chorus, 4, do="density", **data, orders=R, seed=3)}
                for kind in kinds:
                    contestants[kind] = here(lambda kind=kind: peer.score(kind, *given, yt, orders))
                seconds, others = arena.compare(contestants)
                report(options, {"mode": "density", "N": N, "K": K, "orders": R}, seconds, others)


def prefixes(seed, step, task, C, M):
    """How many buffer rows each target of a training task reads (Objective.swift)."""
    stream, reading = Stream(seed, SHAPES, step, task), M // 2
    return [0] * (M - reading) + [1 + min(int((i + stream.uniform()) * C / reading), C - 1) for i in range(reading)]


def train(options, chorus, arena):
    N, C, M = numbers(options.task)
    for T in numbers(options.batch):
        blueprint, parameters, _, _ = setting(options, N, M, chorus)
        configuration = {"blueprint": blueprint, "batch": T, "context": [N, N], "buffers": [C], "targets": M,
                         "prior": "gp", "seed": 1}
        tasks = chorus.ask("tasks", configuration=configuration)
        x, y = (torch.tensor(v, dtype=torch.float32).view(T, N + C + M) for v in tasks["values"])
        # The first step of a run is taken from the weights that `setting` read, which has the same seed.
        first = chorus.ask("train", configuration=configuration)
        live = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        network, loss = train_torch.Network(blueprint, live), 0
        for t in range(T):
            xs, ys = x[t:t + 1].unsqueeze(-1), y[t:t + 1]
            raw = network.forward(xs[:, :N], ys[:, :N], xs[:, N:N + C], ys[:, N:N + C], xs[:, N + C:],
                                  prefixes(1, 0, t, C, M))
            loss = loss - network.log_density(raw, ys[:, N + C:]).mean() / T
        loss.backward()
        norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in live.values() if p.grad is not None))
        agree(f"loss and gradient of a step, {T} tasks", [loss.item(), norm], [first["loss"], first["gradient"]])

        limits = torch.tensor(prefixes(1, 0, 0, C, M)[M - M // 2:])
        bound = torch.cat([torch.arange(1, C + 1), limits])
        allowed = torch.cat([torch.ones(C + M // 2, N, dtype=torch.bool), torch.arange(C)[None] < bound[:, None]], 1)
        given = x, y, allowed, N, C, M
        kinds = [kind for kind in options.peers.split(",") if kind in ("eager", "compiled")]
        configuration["precision"] = options.precision
        contestants = {"chorus": there(chorus, do="train", configuration=configuration)}
        with torch.no_grad():
            shared = train_torch.Network(blueprint, parameters)
            xs = x.unsqueeze(-1)
            raw = shared.forward(xs[:, :N], y[:, :N], xs[:, N:N + C], y[:, N:N + C], xs[:, N + C:],
                                 prefixes(1, 0, 0, C, M))
            wanted = -shared.log_density(raw, y[:, N + C:]).mean().item()
        for kind in kinds:
            steps = Steps(Student(blueprint, parameters), kind == "compiled")
            agree(f"loss of the {kind} step", steps(*given)[0], wanted)
            contestants[kind] = here(lambda steps=steps: steps(*given))
        seconds, others = arena.compare(contestants)
        report(options, {"mode": "train", "N": N, "C": C, "M": M, "B": T}, seconds, others)
        processor = statistics.median(chorus.ask("train", configuration=configuration)["processor"] for _ in range(3))
        drawing = statistics.median(chorus.ask("tasks", configuration=configuration)["processor"] for _ in range(3))
        line = {"mode": "train", "B": T, "contestant": "chorus", "drawing_tasks": drawing / processor}
        print(json.dumps(line), flush=True)
        print(f"  drawing the tasks takes {100 * drawing / processor:.1f} % of a step of Chorus", file=sys.stderr)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("mode", choices=["sample", "density", "train"])
    p.add_argument("--chorus", default=os.path.join(os.path.dirname(__file__), "../.build/release/chorus"),
                   help="the program (default: the release build beside this script)")
    p.add_argument("--peers", default="cat,fold,copy,naive,gp,eager,compiled", help="of those named above, and gp")
    p.add_argument("--context", default="256", help="context rows N, one or more")
    p.add_argument("--targets", default="32", help="targets K, one or more")
    p.add_argument("--paths", default="32,64,128,256", help="paths B, one or more")
    p.add_argument("--orders", default="128", help="target orders of a density, one or more")
    p.add_argument("--batch", default="16,64", help="tasks of a training step, one or more")
    p.add_argument("--task", default="128,16,64", help="context, buffer and target rows of a training task")
    p.add_argument("--naive-paths", type=int, default=8,
                   help="most paths that are re-encoded; the time of more is this one's times the ratio, and marked")
    p.add_argument("--precision", choices=["f32", "bf16"], default="f32",
                   help="what Chorus rounds its matrix products to while it is timed; equal numbers are asked of f32")
    p.add_argument("--rounds", type=int, default=5, help="alternations")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--busy", action="store_true", help="with a neighbour that keeps one core busy, also undisturbed")
    p.add_argument("--width", type=int, default=128)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--feed-forward", type=int, default=256)
    p.add_argument("--hidden", type=int, default=256, help="hidden width of embedders and head")
    p.add_argument("--frequencies", type=int, default=6)
    options = p.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    chorus = Chorus(options.chorus, options.threads)
    run = {"sample": sample, "density": density, "train": train}[options.mode]
    try:
        busy, options.busy = options.busy, False
        run(options, chorus, Arena(options.rounds, gate=True))
        if busy:
            options.busy = True
            neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            try:
                run(options, chorus, Arena(options.rounds, gate=False))
            finally:
                neighbour.kill()
                neighbour.wait()
    finally:
        chorus.close()


if __name__ == "__main__":
    main()
