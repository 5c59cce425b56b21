"""Where tools/attack stops a command: every call that changes something, every allocation of some size."""
import collections
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys

TRAIN = ["train", "c.json", "--out", "run", "--threads", "1", "--quiet"]
# Commands that write, for faults and kills; each by its name in a report.
WRITERS = {
    "train": TRAIN,
    "condition": ["condition", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--output", "out.safetensors"],
    "export": ["export", "m.safetensors", "--output", "out.safetensors"],
    "predict": ["predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "9",
                "--output", "out.csv", "--plot", "p.svg"],
    "report": ["report", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "9",
               "--at", "0..14/1", "--output", "r.html"],
}
# Commands that take memory by what they are asked; the long file stands beside the folders of the runs.
TAKERS = {
    **WRITERS,
    "rows": ["predict", "../long.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "2",
             "--at", "0..9/1", "--output", "out.csv"],
    "points": ["predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "9",
               "--at", "0..20000/1", "--plan", "independent", "--format", "jsonl"],
    "paths": ["predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "20000", "--output", "out.csv"],
    "groups": ["predict", "../long.csv", "--input", "t", "--target", "level", "--group", "who", "--model", "m.safetensors",
               "--samples", "2", "--at", "0..2/1", "--output", "out.csv"],
    "score": ["score", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors", "--samples", "20", "--orders", "2",
              "--output", "out.csv"],
    "generate": ["generate", "--model", "l.gguf", "--prompt", "the b", "--tokens", "5"],
    "surprisal": ["surprisal", "--model", "l.gguf", "--text", "a.txt", "--context", "8", "--tokens", "4"],
    "info": ["info", "m.safetensors"],
    "explain": ["explain", "--context", "2000", "--targets", "2000", "--model", "m.safetensors", "--plan", "sequential"],
    "evaluate": ["evaluate", "--model", "m.safetensors", "--prior", "gp", "--context", "8", "--functions", "2", "--targets", "4",
                 "--orders", "2"],
}
CHANGING = ["rename", "fsync", "unlink", "write", "ftruncate", "mkdir", "openat"]


class Places:
    """Needs the program (`chorus`), a copy of all files (`folder()`) and a place for its library (`root`)."""

    def trace_works(self):
        """Whether strace may be used, and how: a filter in the kernel stops a process at the calls in question alone."""
        for filtered in (["--seccomp-bpf"], []):
            if subprocess.run(["strace", "-f", *filtered, "-e", "trace=write", "true"], capture_output=True).returncode == 0:
                self.tracer = ["strace", "-f", *filtered]
                return True
        return False

    def count_calls(self):
        """Every call that changes something in every command that writes: (command, call, which one)."""
        def calls(words):
            path = self.folder()
            shutil.rmtree(path / "run")
            log = path / "trace"
            subprocess.run([*self.tracer, "-o", log, "-e", "trace=" + ",".join(CHANGING), self.chorus, *words], cwd=path,
                           capture_output=True)
            lines = log.read_text(errors="replace").splitlines()
            shutil.rmtree(path)
            main = lines[0].split()[0]
            return collections.Counter(
                m[1] for m in (re.match(rf"{main} +(\w+)\(", line) for line in lines) if m)
        idle = calls(["--version"])
        places = []
        for name, words in WRITERS.items():
            for call, count in sorted(calls(words).items()):
                places += [(name, call, n) for n in range(idle[call] + 1 if call == "openat" else 1, count + 1)]
        return places

    def count_allocations(self):
        """Every allocation of each of some sizes in every command that takes memory: (command, size, which one)."""
        self.least = self.least_space()
        self.library, source = self.root / "allocations.so", pathlib.Path(__file__).with_name("attack_allocations.c")
        compiler = next(filter(shutil.which, ["clang", "cc"]), None)
        if sys.platform != "linux" or not compiler or subprocess.run(
                [compiler, "-O2", "-shared", "-fPIC", source, "-o", self.library]).returncode:
            print("no C compiler for glibc: allocations that fail one by one are left out")
            return []
        taken = []
        for name, words in TAKERS.items():
            for size in (1 << 14, 1 << 17, 1 << 20):
                path = self.folder()
                if "--resume" not in words:
                    shutil.rmtree(path / "run")
                subprocess.run([self.chorus, *words], cwd=path, capture_output=True,
                               env={**os.environ, **self.failing(size, 0), "CHORUS_FAIL_COUNT": "count"})
                taken += [(name, size, n + 1) for n in range(int((path / "count").read_text()))]
                shutil.rmtree(path)
        # Those of one command stand side by side, and few runs are to meet all commands.
        random.Random(0).shuffle(taken)
        return taken

    def failing(self, size, which):
        return {"LD_PRELOAD": str(self.library), "CHORUS_FAIL_SIZE": str(size), "CHORUS_FAIL_AT": str(which)}

    def least_space(self):
        """The address space in which the program can just start, to a MiB."""
        low, high = 0, 12 << 30
        while high - low > 1 << 20:
            middle = (low + high) // 2
            done = subprocess.run([self.chorus, "--version"], capture_output=True,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (middle, middle)))
            low, high = (low, middle) if done.returncode == 0 else (middle, high)
        return high
