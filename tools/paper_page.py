#!/usr/bin/env python3
"""Fill the tables of docs/paper.md from the tables that `chorus experiment run` printed.

    chorus experiment run gp > docs/paper/gp.csv
    tools/paper_page.py

A line `<!-- table NAME -->` of the page is followed by the table of docs/paper/NAME.csv, up to `<!-- end -->`; a line
`<!-- sizes NAME -->` by one with a column for every number of targets, `<!-- ways NAME -->` by that of `tools/paper_tables.py`, `<!-- evidence NAME -->` by that of docs/paper/NAME-evidence.csv
(`chorus experiment evidence NAME`). docs/paper/gp-gains.svg is drawn from docs/paper/gp.csv. Python's standard library is enough.
"""

import csv
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "paper.md"


def number(cell, digits=2):
    return f"{float(cell):.{digits}f}" if cell else ""


def with_error(row, name, digits=2):
    if not row[name]:
        return ""
    error = row[name + "_se"]
    return number(row[name], digits) + (f" ({float(error):.3f})" if error else "")


def table(name):
    """One block of lines for each number of targets: all context sizes together, then each."""
    with open(ROOT / "docs" / "paper" / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = []
    for targets, layout in dict.fromkeys((row["targets"], row["layout"]) for row in rows):
        own = [row for row in rows if (row["targets"], row["layout"]) == (targets, layout)]
        contexts = list(dict.fromkeys(row["context"] for row in own if row["context"] != "all"))
        columns = list(dict.fromkeys(row["column"] for row in own))
        exact = any(row["to_oracle"] for row in own)
        spread = any(row["between_seeds"] for row in own)
        paper = any(row["paper"] for row in own)
        head = ["M = " + targets + ("" if layout == "random" else f", {layout}"), "ours"] + (["seeds", "spread between them"] if spread else []) + (["oracle − ours"] if exact else []) + (["paper"] if paper else [])
        head += [f"N = {context}" for context in contexts] + ["tasks", "hours"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for column in columns:
            by_context = {row["context"]: row for row in own if row["column"] == column}
            every = by_context.get("all")
            if every is None:
                continue
            cells = [column, with_error(every, "log_density")]
            if spread:
                cells += [every["seeds"] if every["training_tasks"] else "", number(every["between_seeds"], 3)]
            if exact:
                cells.append(with_error(every, "to_oracle"))
            if paper:
                cells.append(with_error(every, "paper"))
            cells += [number(by_context[c]["log_density"]) if c in by_context else "" for c in contexts]
            tasks = every["training_tasks"]
            cells += [f"{int(tasks) // 1000} k" if tasks else "", number(every["training_hours"])]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def sizes(name):
    """A line for each column, a cell for each number of targets: all context sizes together."""
    with open(ROOT / "docs" / "paper" / f"{name}.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["context"] == "all"]
    targets = list(dict.fromkeys(row["targets"] for row in rows))
    lines = ["| nats a target | " + " | ".join("M = " + count for count in targets) + " | tasks |", "|" + "---|" * (len(targets) + 2)]
    for column in dict.fromkeys(row["column"] for row in rows):
        own = {row["targets"]: row for row in rows if row["column"] == column}
        tasks = next(row["training_tasks"] for row in own.values())
        cells = [with_error(own[count], "log_density") if count in own else "" for count in targets]
        lines.append("| " + " | ".join([column] + cells + [f"{int(tasks) // 1000} k" if tasks else ""]) + " |")
    return "\n".join(lines) + "\n\n"


def evidence(name):
    """A line for each column: how far marginal likelihoods and their differences are from the integral."""
    with open(ROOT / "docs" / "paper" / f"{name}-evidence.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    head = ["", "LML: RMSE", "paper", "mean error", "R²", "difference: RMSE", "paper", "R²", "same sign"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for column in dict.fromkeys(row["column"] for row in rows):
        lml, difference = (next(row for row in rows if (row["column"], row["quantity"]) == (column, kind)) for kind in ("lml", "difference"))
        cells = [column, with_error(lml, "rmse"), number(lml["paper_rmse"]), with_error(lml, "bias"), number(lml["r2"])]
        cells += [with_error(difference, "rmse"), number(difference["paper_rmse"]), number(difference["r2"])]
        lines.append("| " + " | ".join(cells + [f"{float(difference['same_sign']):.0%}"]) + " |")
    return "\n".join(lines) + "\n\n"


# What the paper has of tables like these: half-hourly or hourly rows with covariates.
PAPER_TABLES = {
    ("Ind", "within", "16"): "-0.65 to 0.84", ("AR", "within", "16"): "-0.48 to 1.43", ("buffer", "within", "16"): "-0.48 to 1.31",
    ("Ind", "future", "16"): "-4.71 to -0.04", ("AR", "future", "16"): "-2.39 to 1.02", ("buffer", "future", "16"): "-2.41 to 0.94",
    ("Ind", "within", "256"): "-0.44 to 2.38", ("AR", "within", "256"): "-0.44 to 2.39", ("buffer", "within", "256"): "-0.44 to 2.38",
    ("Ind", "future", "256"): "-1.45 to 1.98", ("AR", "future", "256"): "-0.73 to 2.24", ("buffer", "future", "256"): "-0.76 to 2.23",
}


def ways(name):
    """A line for each way and size, two cells a table: rows within a stretch, and those at its end."""
    with open(ROOT / "docs" / "paper" / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tables = list(dict.fromkeys(row["table"] for row in rows))
    head = ["", "N"] + [f"{table}, {kind}" for table in tables for kind in ("within", "future")] + ["paper, five series: within", "future"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for size in dict.fromkeys(row["context"] for row in rows):
        for way in dict.fromkeys(row["way"] for row in rows):
            own = {(row["table"], row["split"]): row for row in rows if (row["context"], row["way"]) == (size, way)}
            cells = [with_error(own[table, kind], "log_density") if (table, kind) in own else "" for table in tables for kind in ("within", "future")]
            lines.append("| " + " | ".join([way, size, *cells, PAPER_TABLES[way, "within", size], PAPER_TABLES[way, "future", size]]) + " |")
    return "\n".join(lines) + "\n\n"


# Of the picture: what is drawn, and in which colour. Each is set beside the network that tells targets alone.
GAINS = [("oracle", "oracle", "#57606a"), ("K=1", "buffer, K=1", "#0072b2"), ("K=16", "buffer, K=16", "#d55e00"), ("A", "TNP-A", "#008a63"),
         ("ND", "TNP-ND", "#b0508e"), ("Ind + copula", "copula", "#b07800")]


def gains(name, title):
    """What a joint law adds to the product of its marginals, by the context's rows: a panel for each number of targets."""
    with open(ROOT / "docs" / "paper" / f"{name}.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["context"] != "all"]
    width, height, left, gap, top, bottom = 760, 380, 56, 48, 58, 64
    sizes = list(dict.fromkeys(row["targets"] for row in rows))
    contexts = sorted({int(row["context"]) for row in rows})
    density = {(row["targets"], row["column"], int(row["context"])): float(row["log_density"]) for row in rows}

    def gain(size, column, context):
        alone = "oracle, independent" if column == "oracle" else "Ind"
        return density[size, column, context] - density[size, alone, context]

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}" font-family="sans-serif" font-size="13">',
           "<style>text{fill:#333}.paper{fill:#fff}.grid{stroke:#ddd}.zero{stroke:#888}"
           "@media(prefers-color-scheme:dark){text{fill:#ddd}.paper{fill:#14171c}.grid{stroke:#444}}</style>",
           f'<rect class="paper" width="{width}" height="{height}"/>', f'<text x="{left}" y="22" font-size="15">{title}</text>']
    panel = (width - left - gap * (len(sizes) - 1) - 20) / len(sizes)
    for index, size in enumerate(sizes):
        begin = left + index * (panel + gap)
        values = [gain(size, column, context) for column, _, _ in GAINS for context in contexts]
        step = next(step for step in (0.1, 0.2, 0.5, 1) if (max(values) - min(values, default=0)) / step <= 7)
        low, high = step * math.floor(min(values + [0]) / step), step * math.ceil(max(values) / step)
        x = lambda n: begin + panel * math.log(n / contexts[0]) / math.log(contexts[-1] / contexts[0])
        y = lambda value: height - bottom - (height - top - bottom) * (value - low) / (high - low)
        for tick in range(round(low / step), round(high / step) + 1):
            kind = "grid" if tick else "zero"
            out.append(f'<line class="{kind}" x1="{begin:.1f}" x2="{begin + panel:.1f}" y1="{y(tick * step):.1f}" y2="{y(tick * step):.1f}"/>')
            out.append(f'<text x="{begin - 7:.1f}" y="{y(tick * step) + 4:.1f}" text-anchor="end">{tick * step:.1f}</text>')
        for n in contexts:
            out.append(f'<text x="{x(n):.1f}" y="{height - bottom + 18}" text-anchor="middle">{n}</text>')
        out.append(f'<text x="{begin:.1f}" y="{top - 14}">M = {size}, nats a target</text>')
        for column, _, colour in GAINS:
            points = [(x(n), y(gain(size, column, n))) for n in contexts]
            dash = ' stroke-dasharray="5 4"' if column == "oracle" else ""
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
            out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    out.append(f'<text x="{width / 2}" y="{height - bottom + 36}" text-anchor="middle">rows of the context</text>')
    place = left
    for column, label, colour in GAINS:
        dash = ' stroke-dasharray="5 4"' if column == "oracle" else ""
        out.append(f'<line x1="{place}" x2="{place + 22}" y1="{height - 12}" y2="{height - 12}" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{place + 28}" y="{height - 8}">{label}</text>')
        place += 50 + 7 * len(label)
    return "\n".join(out + ["</svg>"]) + "\n"


FILL = {"table": table, "sizes": sizes, "evidence": evidence, "ways": ways}


def main():
    text = PAGE.read_text()
    names = []

    def fill(match):
        kind, name = match.groups()
        names.append(name)
        return f"<!-- {kind} {name} -->\n\n{FILL[kind](name)}<!-- end -->"

    text = re.sub(r"<!-- (table|sizes|evidence|ways) ([a-z0-9-]+) -->.*?<!-- end -->", fill, text, flags=re.S)
    PAGE.write_text(text)
    picture = gains("gp", "What joint laws add to targets said alone: Gaussian processes")
    (ROOT / "docs" / "paper" / "gp-gains.svg").write_text(picture)
    print("filled: " + ", ".join(names), file=sys.stderr)


if __name__ == "__main__":
    main()
