#!/usr/bin/env python3
"""What a training step costs with one memory and with another, in processor time of one thread.

    python tools/train_memories.py [--memories softmax,linear-elu,ridge,hybrid] [--context 64,128] [--rounds 3] [--steps 40]

Networks of the recipe of `gp-noisy` (width 64, 6 layers, 4 heads, buffers of 16 to 64 rows, 64 targets, 8 tasks a step), which
differ in nothing but their memory, on contexts of one size. A step is a run of some steps less a run of one, divided by
the steps between; memories alternate, and the first is the one that the others are compared with.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile


def seconds(command):
    """Processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chorus", default="chorus")
    parser.add_argument("--memories", default="softmax,linear-elu,ridge,hybrid")
    parser.add_argument("--context", default="64,128")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    memories = options.memories.split(",")
    with tempfile.TemporaryDirectory() as folder:
        def run(memory, steps, recipe):
            settings = recipe | {"steps": steps, "validateEvery": steps + 1, "checkpointEvery": steps + 1, "validationTasks": 1}
            with open(os.path.join(folder, "settings.json"), "w") as stream:
                json.dump(settings, stream)
            with tempfile.TemporaryDirectory(dir=folder) as out:
                return seconds([options.chorus, "train", os.path.join(folder, "settings.json"), "--memory", memory, "--threads", "1",
                                "--quiet", "--out", os.path.join(out, "run")])

        preset = os.path.join(folder, "preset")
        subprocess.run([options.chorus, "train", "gp-noisy", "--steps", "1", "--batch", "1", "--out", preset, "--quiet"], check=True)
        with open(os.path.join(preset, "configuration.json")) as stream:
            recipe = json.load(stream) | {"batch": 8}
        print("| memory | rows | a step, ms | speed beside the first |\n|---|---|---|---|")
        for size in map(int, options.context.split(",")):
            recipe |= {"context": [size, size]}
            times = {memory: [] for memory in memories}
            for _ in range(options.rounds):
                for memory in memories:
                    many = run(memory, options.steps, recipe)
                    times[memory].append((many - run(memory, 1, recipe)) / (options.steps - 1) * 1000)
            for memory in memories:
                spent = times[memory]
                ratios = [first / one for first, one in zip(times[memories[0]], spent)]
                print(f"| {memory} | {size} | {statistics.median(spent):.1f} ({min(spent):.1f}–{max(spent):.1f}) "
                      f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |", flush=True)


if __name__ == "__main__":
    main()
