#!/usr/bin/env python3
"""Checks a language model's tokens and surprisals against other people's code.

    pip install numpy gguf tokenizers
    tools/check_language.py MODEL.gguf TEXT [--chorus .build/release/chorus]
    tools/check_language.py MODEL.gguf TEXT --tokens-to FOLDER

Weights are dequantised by the package gguf, the network is plain numpy in float64, and tokens are those of the package
tokenizers with the vocabulary and merges of the file. S_t(c) as `chorus surprisal --every` tells it must be within 1e-3 nats
of numpy's for some targets and context lengths, and every target must be the token that tokenizers has at its place.

--tokens-to writes what tokenizers makes of the text and of ten thousand random strings; with CHORUS_LANGUAGE_TOKENS naming that
folder and CHORUS_LANGUAGE_MODEL the model, `swift test -c release --filter SmolLM2` compares them all.
"""
import argparse
import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import numpy as np
import tokenizers


def words(reader, key):
    field = reader.fields[key]
    return [bytes(field.parts[i]).decode() for i in field.data]


def number(reader, key):
    return reader.fields[key].contents()


def tokenizer(reader):
    merges = [tuple(line.split(" ")) for line in words(reader, "tokenizer.ggml.merges")]
    vocabulary = {word: i for i, word in enumerate(words(reader, "tokenizer.ggml.tokens"))}
    result = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    parts = [tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if number(reader, "tokenizer.ggml.pre") == "smollm":
        parts.insert(0, tokenizers.pre_tokenizers.Digits(individual_digits=True))
    result.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(parts)
    return result


def strings(count, seed=1):
    """Random strings of words, spaces, digits, marks and characters of all planes.

    Characters that Python's version of Unicode has not assigned are left out: a later version may call them letters.
    """
    rng = random.Random(seed)
    pieces = ["the", "ing", "'s", "'ll", "'", " ", "  ", "\n", "\r\n", "\t", "12", "3.5", "\u00e9", "\u0301", "\u4e2d", "\u0663", "\u00bd",
              "\U0001f642", "\u3000", "\u00a0", "_", "--", "I'd", "don't", "\u2160", "\u00aa", "\u0e01"]
    for _ in range(count):
        text = ""
        for _ in range(rng.randrange(1, 20)):
            if rng.random() < 0.7:
                text += rng.choice(pieces)
            else:
                code = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000)])
                text += "" if unicodedata.category(chr(code)) in ("Cn", "Cs") else chr(code)
        yield text


class Llama:
    """The network as Touvron et al. (2023) have it, one sequence at a time, float64."""

    def __init__(self, reader):
        self.weights = {
            t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors
        }
        get = lambda key: number(reader, "llama." + key)
        self.layers, self.heads, self.key_heads = get("block_count"), get("attention.head_count"), get("attention.head_count_kv")
        self.epsilon, self.base = get("attention.layer_norm_rms_epsilon"), get("rope.freq_base")

    def norm(self, name, x):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * self.weights[name]

    def rotate(self, x):
        count, _, width = x.shape
        angle = np.arange(count)[:, None] * self.base ** (-np.arange(0, width, 2) / width)
        turn = np.exp(1j * angle)[:, None, :]
        pairs = (x[..., 0::2] + 1j * x[..., 1::2]) * turn
        return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)

    def log_probabilities(self, tokens):
        w = self.weights
        h = w["token_embd.weight"][tokens]
        count, width = h.shape
        head = width // self.heads
        mask = np.where(np.tril(np.ones((count, count))) > 0, 0, -np.inf)
        for layer in range(self.layers):
            name = lambda part: f"blk.{layer}.{part}.weight"
            x = self.norm(name("attn_norm"), h)
            q = self.rotate((x @ w[name("attn_q")].T).reshape(count, self.heads, head))
            k = self.rotate((x @ w[name("attn_k")].T).reshape(count, self.key_heads, head))
            v = (x @ w[name("attn_v")].T).reshape(count, self.key_heads, head)
            k, v = (np.repeat(y, self.heads // self.key_heads, axis=1) for y in (k, v))
            scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(head) + mask
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            h = h + np.einsum("hij,jhd->ihd", scores, v).reshape(count, width) @ w[name("attn_output")].T
            x = self.norm(name("ffn_norm"), h)
            gate = x @ w[name("ffn_gate")].T
            h = h + (gate / (1 + np.exp(-gate)) * (x @ w[name("ffn_up")].T)) @ w[name("ffn_down")].T
        logits = self.norm("output_norm.weight", h) @ w.get("output.weight", w["token_embd.weight"]).T
        top = logits.max(-1, keepdims=True)
        return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--chorus", default=".build/release/chorus")
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--tokens-to")
    arguments = parser.parse_args()
    reader = gguf.GGUFReader(arguments.model)
    text = open(arguments.text, newline="").read()
    if arguments.tokens_to:
        encode = tokenizer(reader).encode
        path = pathlib.Path(arguments.tokens_to) / "tokens.jsonl"
        with open(path, "w") as file:
            for sample in [text, *strings(10_000)]:
                file.write(json.dumps({"text": sample, "tokens": encode(sample).ids}) + "\n")
        print(path)
        return 0
    tokens = tokenizer(reader).encode(text).ids
    with tempfile.NamedTemporaryFile(suffix=".csv") as every:
        subprocess.run(
            [arguments.chorus, "surprisal", "--model", arguments.model, "--text", arguments.text, "--context", str(arguments.context),
             "--tokens", str(arguments.tokens), "--every", every.name, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        rows = list(csv.DictReader(open(every.name)))
    assert rows and all(tokens[int(row["position"])] == int(row["token"]) for row in rows), "targets are other tokens"
    network, worst, count = Llama(reader), 0.0, 0
    for position in sorted({int(row["position"]) for row in rows}):
        own = {int(row["context"]): float(row["nats"]) for row in rows if int(row["position"]) == position}
        for context in sorted({1, 2, 3, 7, arguments.context // 2, arguments.context}):
            wanted = -network.log_probabilities(tokens[position - context:position])[-1, tokens[position]]
            worst, count = max(worst, abs(own[context] - wanted)), count + 1
    print(f"{len(tokens)} tokens; {count} surprisals differ from float64 by at most {worst:.2e} nats")
    return 0 if worst < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
