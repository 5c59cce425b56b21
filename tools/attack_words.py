"""What tools/attack says to each subcommand: its options, and values for them that are good, odd and hostile.

Nothing here is too much work for a sane program: a large number is one that has to be refused.
"""

HUGE = ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e30", "-1", "0", "x", "", "0x10", "٣"]
TEXT = ["", " ", "a,b", "t", "level", "who", "\x1b[31mred\x1b[0m", "a\nb", "é", "𝄞", "%s%n", "../t", "-", "--", "'", '"', "x" * 5000, "\ufffe"]

# Of each kind of value: what works, and what must be refused or survived.
VALUES = {
    "table": (["t.csv", "g.csv", "t.jsonl", "t.npy", "t.csv.gz", "-", "dates.csv"],
              ["nosuch.csv", "d", "", "/dev/null", "m.safetensors", "c.json", "t.csv/x", "x" * 300, "\x1b[31m.csv", "a\nb.csv"]),
    "model": (["m.safetensors", "m.safetensors", "run/model.safetensors"],
              ["nosuch", "", "pipe", "/dev/zero", "/dev/null", "d", "t.csv", "c.safetensors", "./d/../m.safetensors", "x" * 300,
               "run", "secret", "\x1b[31m", "run/checkpoints/step-00000006.safetensors"]),
    "tables": (["tables"], ["m.safetensors", "nosuch", "", "pipe", "d", "c.safetensors"]),
    "kinds": (["who=category", "t=skip", "level=number"], ["", "=", "who", "who=x", "nosuch=skip", "who=number", "t=skip,t=category"]),
    "language": (["l.gguf"], ["nosuch", "", "pipe", "/dev/zero", "d", "m.safetensors", "t.csv", "secret", "\x1b[31m"]),
    "text": (["a.txt"], ["nosuch", "", "pipe", "/dev/zero", "d", "l.gguf", "-", "secret"]),
    "prompt": (["the", "a b"], TEXT),
    "schemes": (["sequential", "hierarchical,lags"], ["", "nosuch", "lags,lags", ","]),
    "share": (["0.01,0.001", "0.5"], ["", "0", "1", "nan", "-1", "x"]),
    "context": (["c.safetensors"], ["m.safetensors", "t.csv", "pipe", "/dev/zero", "d", "", "nosuch", "secret"]),
    "output": (["out.csv", "d/out.csv", "o"],
               ["d", "nosuch/o.csv", "", "/dev/full", "/dev/null", "-", "x" * 300, "t.csv", "m.safetensors", ".", "a\nb", "o.parquet"]),
    "weights": (["out.safetensors", "o"], ["d", "nosuch/o", "", "/dev/full", "-", "m.safetensors", "x" * 300]),
    "picture": (["p.svg", "p.html"], ["p", "p.png", "d", "", "nosuch/p.svg", "/dev/full", "t.csv", "x" * 300 + ".svg"]),
    "page": (["r.html"], ["r", "d", "", "nosuch/r.html", "/dev/full", "t.csv"]),
    "folder": (["new", "run"], ["t.csv", "", "d", "d/e/f", "/dev/null", "x" * 300, "."]),
    "column": (["t", "level", "who"], TEXT),
    "columns": (["t", "t", "level"], ["t,t", "t,level", ","] + TEXT),
    "number": (["1", "2", "3", "7"], HUGE),
    "numbers": (["3", "4,8", "2"], HUGE + ["1,,2", ",", "8,x", "1 2", "3,9223372036854775807"]),
    # How often what takes long is done: as many values as those above, so that all else of a command line stays what it was.
    "few": (["1", "1", "2", "1"], HUGE),
    "fews": (["1", "1,2", "1"], HUGE + ["1,,2", ",", "8,x", "1 2", "3,9223372036854775807"]),
    "size": (["3", "5", "16"], HUGE + ["5000000000000000000", "4611686018427387904"]),
    "samples": (["1", "2", "20"], HUGE + ["10000001"]),
    "part": (["0.2", "0.5"], ["0", "1", "-1", "nan", "inf", "x", "", "1e-300", "1e308"]),
    "levels": (["0.05,0.5,0.95", "0.5"], ["", "0.5,0.5", "2", "nan", "x", "0,1", "-0", "0.5,", "1e-320"]),
    "flop": (["1e18"], ["0", "nan", "inf", "-1", "1", "1e308", "x", ""]),
    "threads": (["1", "2"], ["0", "-1", "1025", "x", "", "9223372036854775807"]),
    "seed": (["0", "7", "18446744073709551615"], ["-1", "18446744073709551616", "x", "", "1.5"]),
    "format": (["csv", "jsonl"], ["xml", "", "CSV", "text", "markdown"]),
    "decimal": (["point"], ["comma", "x", ""]),
    "delimiter": (["comma"], ["tab", "semicolon", "x", "", ","]),
    "expansion": (["1000"], ["0", "1", "-1", "x", "9223372036854775807"]),
    "grid": (["0..5/1", "12..14/0.5", "3", "3,4,5"],
             ["0..1e9/1", "5..0/1", "0..1/0", "nan..1/1", "0..1/1e-300", "2020-01-01..2020-02-01/1d", "-20..-10/5", "1..1/1", "",
              "..", "0..5/-1", "1e308..-1e308/1e300", "0..9007199254740993/4503599627370496", "1e200", "0..1", "0..1/1,0..1/1",
              "-1e-320", "0..5e-324/5e-324", "2019-02-29", "9999-12-31..10000-01-02/1d", "2020-01-31..2020-12-31/1mo"]),
    "plan": (["auto", "independent", "sequential", "sequential(capacity:4)", "coarse-to-fine(r:2)", "blocks(of:2)", "log-sparse",
              "window(sinks:1,span:2)", "speculative(draft:2)", "lineage(r:2)", "random-sparse(reads:2)", "coarse-to-fine-verified(r:2)", "trusted(millinats:5)"],
             ["", "nosuch", "blocks", "blocks(of:0)", "blocks(of:9223372036854775807)", "sequential(capacity:9223372036854775807)",
              "window(sinks:9223372036854775807,span:9223372036854775807)", "coarse-to-fine(r:9223372036854775807,anchors:1)", "(", ")",
              "blocks(of:2", "blocks(of:2))", "blocks(of:2,of:3)", "sequential(strict,strict)", "speculative(draft:99999999999999999999)",
              "lineage(r:2,anchors:9223372036854775807)", "auto" + "(" * 2000, "random-sparse(reads:4611686018427387904)"]),
    "prior": (["gp", "gp-noisy", "sawtooth"], ["nosuch", "", "functions/nosuch", "GP", "\x1b[31m"]),
    "what": (["c.json", "gp"], ["nosuch", "nosuch.json", "", "d", "t.csv", "c.json/x", "zero.json", "pipe.json", "deep.json"]),
    "tasks": (["tasks.jsonl"], ["t.csv", "nosuch", "d", "", "/dev/null"]),
    "memory": (["softmax", "ridge"], ["nosuch", "", ",", "softmax,softmax,softmax", "delta", "x" * 300]),
    "units": (["level=m"], ["", "=", "level", "nosuch=m", "level=\x1b[31m", "level=" + "x" * 3000]),
    "functional": (["sum", "max", "first-above:1", "first-below:1"], ["", "nosuch", "difference:..", "difference:1..1e99", "first-above:", "first-above:nan", "sum,sum", "first-above:1e308"]),
    "card": (["a=b"], ["", "=", "a", "format=x", "sha256=1", "a=\x1b[31m", "a\n=b"]),
    "bench": (["encode", "sample", "density"], ["", "nosuch", "encode,encode"]),
    "op": (["list"], ["", "nosuch"]),
    "beside": (["level", "who", "t"], ["", ",", "level,level", "nosuch", "who,level,t"] + TEXT),
    "given": (["3=1", "4>0", "sum>1", "max<=9"],
              ["", "=", "3=", "=3", "3=x", "sum=1", "3=nan", "1e308>1e308", "sum>inf", "sum>1e308", "nosuch>1", "3==1", "who=a", "3=1=2", "3.level=1",
               "9999999999999999999.t=1", "sum>" + "9" * 400]),
    "scale": (["auto", "raw", "log", "root"], ["", "nosuch", "LOG", "box-cox"]),
    "bound": (["-100", "0", "100"], ["nan", "inf", "-inf", "x", "", "1e308", "-1e308", "5e-324"]),
    "step": (["1", "0.5", "1D", "1M", "30min"], ["", "0", "-1", "nan", "1e308", "5e-324", "x", "99999999999M", "1B1", "D"]),
    "shard": (["1/2", "2/2", "1/1"], ["", "0/2", "3/2", "1/0", "-1/2", "1/9223372036854775807", "x/y", "1/2/3", "1"]),
    "pattern": (["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y %H:%M"], ["", "%", "%q", "%Y%Y", "x", "%d" * 400, "\x1b[31m"]),
    "missing": (["x", "-999"], TEXT),
    "precision": (["f32", "bf16"], ["", "f16", "F32"]),
    "digits": (["sensible", "all"], ["", "3", "ALL"]),
    "split": (["random", "future"], ["", "nosuch"]),
    "rank": (["2", "4"], HUGE),
    "names": (["linear", "softmax,linear", "retention"], ["nosuch", "", ",", "linear,linear", "x" * 300]),
    "keys": (["tokens", "vectors"], ["", "nosuch"]),
    "fillers": (["zeros", "random"], ["", "nosuch"]),
    "experiment": (["e.json"], ["nosuch", "", "d", "t.csv", "zero.json", "pipe.json", "deep.json", "c.json"]),
    "imported": (["d"], ["nosuch", "", "t.csv", "pipe", "/dev/zero", "secret", "."]),
    "checkpoint": (["m.safetensors"], ["nosuch", "", "d", "t.csv", "pipe", "/dev/zero", "secret", "c.safetensors"]),
}

WORDS = {"--quiet": None}
WORK = {"--threads": "threads", **WORDS}
COMMON = {"--seed": "seed", **WORK}
READING = {"--decimal": "decimal", "--delimiter": "delimiter", "--max-expansion": "expansion", "--date-format": "pattern",
           "--missing": "missing"}
POINTS = {"--at": "grid", "--at-file": "table"}
HORIZON = {"--horizon": "number", "--every": "step"}
BOUNDS = {"--scale": "scale", "--min": "bound", "--max": "bound", "--integer": None}
# Networks of many memories; what is trained is small.
TRAINED = [("--out", "folder"), ("--memories", "names"), ("--steps", "few"), ("--seeds", "few"), ("--questions", "number"),
           ("--budget", "part")]
COMPARED = {"--minutes-each": "part", "--rate": "part", "--convolution": "number", "--gated-reads": None, "--plot": "picture", "--format": "format",
            "--table-only": None, "--width": "number", "--layers": "number", "--heads": "number", "--batch": "number", **COMMON}

# Of each subcommand: what has to be there, and what may be.
GRAMMAR = {
    "predict": (["table", ("--input", "columns"), ("--target", "column"), ("--model", "model"), ("--samples", "samples")],
                {"--group": "column", "--error": "column", "--quantiles": "levels", "--plan": "plan", "--output": "output",
                 "--plot": "picture", "--units": "units", "--show": None, "--functional": "functional", "--latent": None,
                 "--flop-limit": "flop", "--format": "format", "--with": "beside", "--given": "given", "--shard": "shard",
                 "--wide": None, "--precision": "precision", "--digits": "digits", **HORIZON, **BOUNDS, **POINTS, **READING, **COMMON}),
    "predict --context": ([("--context", "context"), ("--model", "model"), ("--samples", "samples"), ("--at", "grid")],
                          {"--plan": "plan", "--output": "output", "--plot": "picture", "--show": None, "--at-file": "table",
                           "--functional": "functional", "--input": "column", "--format": "format", "--given": "given",
                           "--precision": "precision", **HORIZON, **COMMON}),
    "predict of tables": (["table", ("--target", "column"), ("--model", "tables"), ("--samples", "samples")],
                          {"--input": "columns", "--as": "kinds", "--at-file": "table", "--quantiles": "levels", "--plan": "plan",
                           "--output": "output", "--plot": "picture", "--functional": "functional", "--format": "format",
                           "--given": "given", "--group": "column", "--shard": "shard", "--precision": "precision", "--digits": "digits", **BOUNDS, **READING,
                           **COMMON}),
    "fill": (["table", ("--samples", "samples"), ("--model", "tables")],
             {"--target": "column", "--as": "kinds", "--quantiles": "levels", "--output": "output", "--report": "output",
              "--format": "format", **READING, **COMMON}),
    "score of tables": (["table", ("--target", "column"), ("--model", "tables"), ("--samples", "samples"), ("--orders", "number")],
                        {"--folds": "number", "--group-folds": "column", "--holdout": "part", "--as": "kinds", "--output": "output",
                         "--calibration": "picture", "--format": "format", "--group": "column", "--precision": "precision", **BOUNDS,
                         **READING, **COMMON}),
    "condition": (["table", ("--input", "columns"), ("--target", "column"), ("--output", "weights"), ("--model", "model")],
                  {"--units": "units", "--error": "column", "--with": "beside", "--group": "column", "--wide": None, "--half": None,
                   "--precision": "precision", **BOUNDS, **READING, **WORK}),
    "condition of tables": (["table", ("--target", "column"), ("--output", "weights"), ("--model", "tables")],
                            {"--input": "columns", "--as": "kinds", "--group": "column", "--error": "column", **BOUNDS, **READING,
                             **WORK}),
    "condition --append": (["table", ("--append", "context"), ("--output", "weights")], {"--model": "model", **READING, **WORK}),
    "score": (["table", ("--input", "columns"), ("--target", "column"), ("--model", "model"), ("--samples", "samples"),
               ("--repetitions", "number"), ("--orders", "number")],
              {"--holdout": "part", "--last": "number", "--splits": "column", "--windows": "number", "--context": "size",
               "--targets": "number", "--plan": "plan", "--functional": "functional", "--output": "output",
               "--calibration": "picture", "--flop-limit": "flop", "--format": "format", "--error": "column", "--with": "beside",
               "--group": "column", "--wide": None, "--season": "number", "--reencode": None, "--precision": "precision", **BOUNDS, **READING, **COMMON}),
    "report": (["table", ("--input", "column"), ("--target", "column"), ("--output", "page"), ("--model", "model"),
                ("--samples", "samples")],
               {"--units": "units", "--plan": "plan", "--holdout": "part", "--functional": "functional", "--error": "column",
                "--group": "column", "--wide": None, "--last": "number", "--flop-limit": "flop", **HORIZON, **BOUNDS, **POINTS, **READING,
                **COMMON}),
    "report of tables": (["table", ("--target", "column"), ("--output", "page"), ("--model", "tables"), ("--samples", "samples")],
                         {"--input": "columns", "--as": "kinds", "--at-file": "table", "--plan": "plan", "--holdout": "part",
                          "--functional": "functional", **READING, **COMMON}),
    "explain": ([("--context", "size"), ("--targets", "size"), ("--model", "model")],
                {"--plan": "plan", "--inputs": "table", "--paths": "size", "--acceptance": "part", "--reencode": None,
                 "--format": "format", **READING}),
    "evaluate": ([("--model", "model"), ("--prior", "prior"), ("--context", "numbers"), ("--functions", "number"),
                  ("--targets", "number"), ("--orders", "number")],
              {"--dimensions": "number", "--plan": "plan", "--calibration": "picture", "--attainable": None,
               "--tasks": "tasks", "--split": "split", "--precision": "precision", "--format": "format", **COMMON}),
    "train": (["what", ("--out", "folder"), ("--steps", "number"), ("--batch", "number")],
              {"--resume": None, "--tasks": "tasks", "--start": "model", "--memory": "memory", "--adapt": "model",
               "--rank": "rank", "--leaves": "number", "--ranks": None, "--precision": "precision", **COMMON}),
    "train text": (["text", ("--out", "folder"), ("--steps", "number"), ("--batch", "number")],
                   {"--resume": None, "--memory": "memory", "--precision": "precision", **COMMON}),
    "info": (["model"], {"--format": "format", "--machine": None}),
    "import nanoace": (["imported", ("--output", "weights")], {"--trained-context": "number", "--trained-buffer": "number", **WORDS}),
    "import tabicl": (["checkpoint", ("--output", "weights")], {"--trained-context": "number", "--columns": "number", **COMMON}),
    "recall": ([*TRAINED, ("--length", "number"), ("--pairs", "number")], {"--vocabulary": "number", "--fillers": "fillers", "--keys": "keys", "--dimensions": "number", **COMPARED}),
    "memories identification": ([*TRAINED, ("--pairs", "number"), ("--simulated", "number")], {"--taps": "number", **COMPARED}),
    "memories regression": ([*TRAINED, ("--length", "number"), ("--dimensions", "number")], COMPARED),
    "memories text": (["text", *TRAINED], COMPARED),
    "memories bench": (["names", ("--tokens", "number"), ("--batch", "number"), ("--repetitions", "few"), ("--width", "number")],
                       {"--chunk": "numbers", "--heads": "number", "--write": "folder", "--requests": None, "--format": "format", **COMMON}),
    "experiment list": ([], {"--format": "format"}),
    "experiment run": (["experiment", ("--out", "folder"), ("--tasks", "number"), ("--seeds", "number"), ("--budget", "part")],
                       {"--training-tasks": "tasks", "--test-tasks": "tasks", "--curves": "picture", "--table-only": None, "--format": "format",
                        **COMMON}),
    "experiment lml": (["table"], {"--stretch": "part", "--tolerance": "part", "--format": "format", **READING, **COMMON}),
    "experiment evidence": (["experiment", ("--out", "folder")], {"--format": "format", **COMMON}),
    "export": (["model", ("--output", "weights")], {"--card": "card", "--full": None, **WORDS}),
    "playground": ([("--output", "page")], {"--model": "model", "--quiet": None}),
    "plans compare": ([("--model", "model"), ("--prior", "prior"), ("--context", "numbers"), ("--targets", "number"),
                       ("--functions", "few"), ("--orders", "few"), ("--repetitions", "few")],
                      {"--plans": "plan", "--plot": "picture", "--format": "format", **COMMON}),
    "memories list": ([], {"--width": "size", "--heads": "size", "--context": "size", "--format": "format"}),
    "memories compare": ([("--prior", "prior"), ("--out", "folder"), ("--memories", "memory"), ("--steps", "few"),
                          ("--layers", "few"), ("--context", "numbers"), ("--functions", "few"), ("--orders", "few"),
                          ("--times", "fews")], {"--slow": "memory", **COMMON}),
    "generate": ([("--model", "language"), ("--prompt", "prompt"), ("--tokens", "number")],
                 {"--prompt-file": "text", "--temperature": "part", "--top-k": "number", "--top-p": "part", "--plan": "plan",
                  "--draft": "language", "--draft-tokens": "number", **COMMON}),
    "surprisal": ([("--model", "language"), ("--text", "text"), ("--context", "size"), ("--tokens", "number")],
                  {"--schemes": "schemes", "--passages": "number", "--tolerance": "share", "--join-lines": None, "--every": "output",
                   "--plot": "picture", "--format": "format", **WORK}),
    "plans text": ([("--model", "language"), ("--text", "text"), ("--passages", "number"), ("--tokens", "size"), ("--lead", "number")],
                   {"--plans": "plan", "--join-lines": None, "--format": "format", **WORK}),
    "bench": ([("--what", "bench"), ("--context", "numbers"), ("--targets", "numbers"), ("--paths", "numbers"),
               ("--orders", "fews"), ("--repetitions", "few")],
              {"--plan": "plan", "--width": "numbers", "--layers": "numbers", "--heads": "numbers", "--read": "table",
               "--op": "op", "--format": "format", "--columns": "columns", "--feed-forward": "number", "--hidden": "number", "--batch": "numbers",
               "--precision": "precision", **COMMON}),
}

# Options that no run is given, each with the reason.
LEFT = {
    ("memories golden", "--format"): "its tables take a minute",
    ("bench", "--once"): "a fixed workload, for counting instructions",
    ("bench", "--requests"): "reads standard input until it ends",
    ("bench", "--scaling"): "takes minutes", ("bench", "--sweep"): "goes with --scaling",
    ("bench", "--task"): "sizes of its own", ("bench", "--prior"): "sizes of its own",
    ("serve", None): "does not end by itself; tools/abuse_service.py and tools/fuzz_service.py ask it",
}


def unknown(help):
    """What the program's own help (`--experimental-dump-help`) has, and the grammar has not: options of subcommands."""
    known = {}
    for name, (needed, optional) in GRAMMAR.items():
        own = known.setdefault(words_of(name), set())
        own.update(part[0] for part in needed if not isinstance(part, str))
        own.update(optional)
    known["train"] |= known.pop("train text")

    def walk(command, path):
        name = " ".join(path)
        inner = [one for one in command.get("subcommands", []) if one["commandName"] != "help"]
        for one in inner:
            yield from walk(one, [*path, one["commandName"]])
        if inner or (name, None) in LEFT:
            return
        names = {"--" + form["name"] for argument in command.get("arguments", []) for form in argument.get("names") or []
                 if form["kind"] == "long"}
        for option in sorted(names - known.get(name, set()) - {"--help", "--version", *COMMON}):
            if (name, option) not in LEFT:
                yield f"{name} {option}"

    return list(walk(help["command"], []))


def words_of(name):
    """The words of a subcommand that the grammar may have several times."""
    return name.split(" --")[0].split(" of ")[0]

# Options whose value is a file that is written.
OUTPUTS = {"--output", "--plot", "--report", "--calibration", "--curves"}
ESSENTIAL = {"--input", "--target", "--output", "--model", "--prior", "--out", "--at"}


def arguments(random, odd):
    """One command line; each value is an odd one with probability `odd`."""
    name = random.choice(sorted(GRAMMAR))
    needed, optional = GRAMMAR[name]

    def value(kind):
        good, bad = VALUES[kind]
        return random.choice(bad if random.random() < odd else good)

    parts = []
    for part in needed:
        # What decides how much is computed is always there: defaults are for real work.
        if random.random() < 0.05 and (isinstance(part, str) or part[0] in ESSENTIAL):
            continue
        parts.append([value(part)] if isinstance(part, str) else [part[0], value(part[1])])
    for option in sorted(optional):
        if random.random() < 0.12:
            kind = optional[option]
            parts.append([option] if kind is None else [option, value(kind)])
    random.shuffle(parts)
    words = words_of(name).split() + [word for part in parts for word in part]
    if random.random() < 0.03:
        words.insert(random.randrange(len(words) + 1), random.choice(TEXT))
    return [word.replace("\0", "") for word in words]
