#!/usr/bin/env python3
"""Measures Chorus and llama.cpp on the same language model, in turn, and whether both choose the same tokens.

    pip install numpy llama-cpp-python          # built for this machine; needs a compiler and cmake
    tools/duel_language.py MODEL.gguf TEXT [--chorus .build/release/chorus] [--threads 2] [--rounds 5]

Prompt: the first 512 tokens of the middle of TEXT, logits of the last one. Decoding: 64 tokens behind them, the likeliest each
time. Table: S_t(c) of 96 targets by 256 context lengths, by `chorus surprisal`, against evaluating its windows one by one in
llama.cpp with logits of the rows that the table needs; every --stride-th window is timed there, and the time scaled. What
Chorus takes is told by itself (reading, decoding) or is the program from start to end (table). llama.cpp has its weights
loaded, has read once before it is timed, and its softmax is not counted.

With --processor (and one thread) times are seconds of the processor, user and system: of Chorus those of a program that reads
and decodes less those of one that reads less or decodes less.

Choices: after many places of TEXT both go on with what Chorus takes; where llama.cpp's first two logits differ by more than
0.1, its first must be Chorus's. Numbers: S_t(c) of the timed windows on both sides.
"""
import argparse
import csv
import ctypes
import json
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import llama_cpp
import numpy as np


class Peer:
    """llama.cpp by its C interface, one sequence at a time."""

    def __init__(self, path, threads, clock, length=1024):
        self.clock = clock
        llama_cpp.llama_log_set(Peer.quiet, None)
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        settings.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), settings)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = length, 512, 512
        settings.n_threads = settings.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        self.words = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(self.words)
        self.batch = llama_cpp.llama_batch_init(length, 0, 1)

    @llama_cpp.llama_log_callback
    def quiet(level, text, data):
        pass

    def tokens(self, text):
        raw = text.encode()
        out = (ctypes.c_int32 * (len(raw) + 8))()
        count = llama_cpp.llama_tokenize(self.words, raw, len(raw), out, len(out), False, False)
        return list(out[:count])

    def passage(self, tokens, count, path):
        """The first `count` tokens beside each other that are those of their own text, which goes into a file."""
        for start in range(len(tokens) - count):
            own = tokens[start:start + count]
            raw = b"".join(map(self.piece, own))
            if self.tokens(raw.decode(errors="replace")) == own:
                path.write_bytes(raw)
                return own
        raise SystemExit("no passage of the text has the tokens of its own")

    def piece(self, token):
        out = ctypes.create_string_buffer(256)
        count = llama_cpp.llama_token_to_piece(self.words, token, out, len(out), 0, False)
        return out.raw[:count]

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)

    def read(self, tokens, first=0, asked=None):
        """Logits of the rows `asked` (the last one by default) as an array [rows, vocabulary]."""
        asked = [len(tokens) - 1] if asked is None else asked
        wanted = set(asked)
        self.batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            self.batch.token[row], self.batch.pos[row] = token, first + row
            self.batch.n_seq_id[row], self.batch.seq_id[row][0] = 1, 0
            self.batch.logits[row] = row in wanted
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            raise SystemExit("llama.cpp could not evaluate the tokens")
        logits = llama_cpp.llama_get_logits(self.context)
        return np.ctypeslib.as_array(logits, shape=(len(asked), self.vocabulary))

    def prompt(self, tokens):
        self.clear()
        start = self.clock()
        logits = self.read(tokens)
        return self.clock() - start, int(logits[-1].argmax())

    def decode(self, tokens, count):
        _, token = self.prompt(tokens)
        start = self.clock()
        for place in range(len(tokens), len(tokens) + count):
            token = int(self.read([token], first=place)[-1].argmax())
        return self.clock() - start

    def windows(self, tokens, contexts, stride):
        """Seconds for all windows by those timed, their number, and {(target, context): nats}."""
        targets, seconds, nats = len(tokens) - contexts, 0.0, {}
        starts = range(0, len(tokens) - 1)
        timed = list(starts)[stride // 2::stride]
        for start in timed:
            window = tokens[start:min(start + contexts, len(tokens) - 1)]
            asked = [row for row in range(len(window)) if start + row + 1 >= contexts]
            self.clear()
            begin = self.clock()
            logits = self.read(window, asked=asked)
            seconds += self.clock() - begin
            logits = logits.astype(np.float64)
            top = logits.max(-1)
            total = top + np.log(np.exp(logits - top[:, None]).sum(-1))
            for index, row in enumerate(asked):
                target = start + row + 1 - contexts
                nats[target, row + 1] = total[index] - logits[index, tokens[start + row + 1]]
        size = lambda start: min(contexts, len(tokens) - 1 - start)
        return seconds * sum(map(size, starts)) / sum(map(size, timed)), len(timed), nats


class Chorus:
    def __init__(self, program, model, threads, clock):
        self.program, self.model, self.threads, self.clock = program, model, threads, clock

    def run(self, *words, quiet=False):
        command = [self.program, *words, "--model", self.model, "--threads", str(self.threads)] + ["--quiet"] * quiet
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        return done.stdout, done.stderr.decode()

    def generate(self, path, count):
        """(text, tokens read, seconds, tokens made, seconds)"""
        text, words = self.run("generate", "--prompt-file", path, "--tokens", str(count))
        found = re.search(r"(\d+) tokens read in ([\d.]+) s.*, (\d+) made in ([\d.]+) s", words)
        return text[:-1], int(found[1]), float(found[2]), int(found[3]), float(found[4])

    def processor(self, path, count):
        """Seconds of the processor that a program takes to read a prompt and decode."""
        before = children()
        self.generate(path, count)
        return children() - before

    def table(self, path, contexts, targets, every):
        start = self.clock()
        self.run("surprisal", "--text", path, "--schemes", "sequential", "--context", str(contexts), "--tokens", str(targets),
                 "--every", every, quiet=True)
        return self.clock() - start


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(what, ours, theirs, unit, scale):
    ratios = [a / b for a, b in zip(theirs, ours)]
    told = lambda times: f"{scale(statistics.median(times)):.4g} ({scale(max(times)):.4g}-{scale(min(times)):.4g})"
    print(json.dumps({"what": what, "unit": unit, "chorus": [round(scale(t), 3) for t in ours],
                      "llama.cpp": [round(scale(t), 3) for t in theirs], "ratio": statistics.median(ratios),
                      "ratio_min": min(ratios), "ratio_max": max(ratios)}), flush=True)
    print(f"{what}: Chorus {told(ours)}, llama.cpp {told(theirs)} {unit}; "
          f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f}-{max(ratios):.2f})", file=sys.stderr)


def choices(peer, chorus, tokens, places, count, folder):
    """Where both choose the next token: places where llama.cpp is sure, those where Chorus chose another, and all."""
    sure, other, seen = 0, 0, 0
    path = folder / "prompt.txt"
    for number in range(places):
        start = (2 * number + 1) * len(tokens) // (2 * places)
        prompt = tokens[start:start + 48]
        path.write_bytes(b"".join(map(peer.piece, prompt)))
        prompt = peer.tokens(path.read_text())
        made = chorus.generate(str(path), count)[0]
        peer.clear()
        logits, place = peer.read(prompt)[-1], len(prompt)
        while made:
            first, second = np.argpartition(-logits, 2)[:2]
            first, second = (first, second) if logits[first] >= logits[second] else (second, first)
            piece, gap = peer.piece(int(first)), logits[first] - logits[second]
            same = piece and made.startswith(piece)
            seen += 1
            sure += gap > 0.1
            other += gap > 0.1 and not same
            if not same:
                break
            made = made[len(piece):]
            logits, place = peer.read([int(first)], first=place)[-1], place + 1
    return int(sure), int(other), seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--chorus", default=".build/release/chorus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor", action="store_true", help="seconds of the processor in place of the wall's")
    parser.add_argument("--contexts", type=int, default=256, help="context lengths of the table")
    parser.add_argument("--targets", type=int, default=96, help="targets of the table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--places", type=int, default=64, help="places of the text after which choices are compared")
    parser.add_argument("--stride", type=int, default=16, help="of the table's windows llama.cpp evaluates every so many")
    parser.add_argument("--only", default="prompt,decoding,table,choices", help="some of prompt, decoding, table, choices")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if options.processor and options.threads != 1:
        parser.error("--processor is for one thread: what waits in a loop takes seconds too")
    peer = Peer(options.model, options.threads, time.process_time if options.processor else time.perf_counter)
    chorus = Chorus(options.chorus, options.model, options.threads, children if options.processor else time.perf_counter)
    text = pathlib.Path(options.text).read_text()
    middle = peer.tokens(text[len(text) // 2:][:40_000])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if {"prompt", "decoding"} & set(wanted):
            path, one = folder / "text.txt", folder / "one.txt"
            one.write_text("the")
            prompt = peer.passage(middle, 512, path)
            peer.decode(prompt, 8)
            chorus.generate(str(path), 8)
            times = {"reading": ([], []), "decoding": ([], [])}
            for _ in range(options.rounds):
                _, read, seconds, made, decoding = chorus.generate(str(path), 65)
                if read != len(prompt) or made != 65:
                    raise SystemExit(f"Chorus read {read} tokens and made {made}; {len(prompt)} and 65 were meant")
                if options.processor:
                    least, short, whole = chorus.processor(str(one), 1), chorus.processor(str(path), 1), chorus.processor(str(path), 65)
                    seconds, decoding = short - least, whole - short
                times["reading"][0].append(seconds)
                times["decoding"][0].append(decoding)
                time.sleep(0.3)
                times["reading"][1].append(peer.prompt(prompt)[0])
                times["decoding"][1].append(peer.decode(prompt, 64))
                time.sleep(0.3)
            report("prompt of 512 tokens", *times["reading"], "tokens a second", lambda t: 512 / t)
            report("decoding 64 tokens behind it", *times["decoding"], "tokens a second", lambda t: 64 / t)
        if "table" in wanted:
            contexts, targets = options.contexts, options.targets
            path, every = folder / "passage.txt", folder / "every.csv"
            own = peer.passage(middle, contexts + targets, path)
            theirs, count, nats = peer.windows(own, contexts, options.stride)
            ours = chorus.table(str(path), contexts, targets, str(every))
            again, _, _ = peer.windows(own, contexts, options.stride)
            report(f"table of S_t(c), {count} windows timed in llama.cpp", [ours, ours], [theirs, again], "seconds", lambda t: t)
            rows = {(int(row["position"]) - contexts, int(row["context"])): float(row["nats"]) for row in csv.DictReader(open(every))}
            gaps = [abs(rows[key] - value) for key, value in nats.items()]
            print(json.dumps({"what": "surprisals", "pairs": len(gaps), "mean": statistics.mean(gaps), "most": max(gaps)}), flush=True)
            print(f"{len(gaps)} surprisals differ by {statistics.mean(gaps):.4f} nats on average, {max(gaps):.3f} at most", file=sys.stderr)
        if "choices" in wanted:
            everything = peer.tokens(text)
            sure, other, seen = choices(peer, chorus, everything, options.places, 16, folder)
            print(json.dumps({"what": "choices", "places": seen, "sure": sure, "other": other}), flush=True)
            print(f"{seen} places, {sure} of them where llama.cpp's first two logits differ by more than 0.1: "
                  f"{100 * (1 - other / max(sure, 1)):.2f} % the same", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
