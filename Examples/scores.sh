#!/usr/bin/env bash
# Makes the tables of docs/scores.md from the example data: Examples/scores.sh [CHORUS [MODEL]], the path of the built
# program and a model's name or file. CHORUS_DATA names a folder with the whole of elecdemand.csv (17,520 rows; the
# repository has one week of it), without which its windows are left out. About 5 minutes of one core.
set -euo pipefail
cd "$(dirname "$0")/.."
chorus="${1:-.build/release/chorus}"
model="${2:-functions}"
data="${CHORUS_DATA:-}"
page=docs/scores.md
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# What a run is called, its file, and the arguments of chorus score after the file.
runs() {
  cat <<'RUNS'
mcycle, 20 % at random|Examples/mcycle.csv|--input times --target accel --holdout 0.2 --repetitions 20 --reencode --samples 200
co2, 20 % at random|Examples/co2.csv|--input date --target co2 --holdout 0.2 --repetitions 5 --orders 4 --reencode --samples 200
co2, last 52 weeks|Examples/co2.csv|--input date --target co2 --last 52 --repetitions 5 --orders 4 --reencode --samples 200
sunspots, last 22|Examples/sunspots.csv|--input YEAR --target SUNACTIVITY --last 22 --repetitions 8 --reencode --samples 200
RUNS
  if [ -n "$data" ]; then
    echo "elecdemand, 200 windows|elecdemand.csv|--input time --target Demand --windows 200 --context 96 --targets 16 --reencode --samples 200"
  fi
}

claims="elecdemand.csv|--input time --target Demand --windows 400 --context 96 --targets 16 --functional sum,max --samples 400"

place() { if [ "$1" = elecdemand.csv ]; then echo "$data/$1"; else echo "$1"; fi; }

index=0
: >"$work/runs"
while IFS='|' read -r name file arguments; do
  index=$((index + 1))
  # shellcheck disable=SC2086
  "$chorus" score "$(place "$file")" $arguments --model "$model" --format jsonl >"$work/$index.jsonl"
  echo "$index|$name|chorus score $file $arguments" >>"$work/runs"
done < <(runs)
if [ -n "$data" ]; then
  IFS='|' read -r file arguments <<<"$claims"
  # shellcheck disable=SC2086
  "$chorus" score "$(place "$file")" $arguments --model "$model" --format jsonl >"$work/claims.jsonl"
  echo "chorus score $file $arguments" >"$work/claims.command"
fi
"$chorus" info "$model" >"$work/info"

python3 - "$work" "$page" <<'PYTHON'
import csv, json, sys

work, page = sys.argv[1:]
info = {row["property"]: row["value"] for row in csv.DictReader(open(f"{work}/info"))}
runs = []
for line in open(f"{work}/runs"):
    index, name, command = line.rstrip("\n").split("|", 2)
    lines = [json.loads(text) for text in open(f"{work}/{index}.jsonl")]
    runs.append((name, command, lines[-2], lines[-1], (len(lines) - 2) // 2))  # all: file, standardised; repetitions


def number(value, digits=3):
    return "–" if value is None else f"{value:.{digits}f}"


def mean(row, key, digits=3):
    return f"{number(row[key], digits)} ± {number(row[key + '_se'], digits)}"


def interval(row, key, digits=3):
    return f"{number(row[key], digits)} ({number(row[key + '_low'], digits)} to {number(row[key + '_high'], digits)})"


def verdict(row, key, sign):
    low, high = sorted((sign * row[key + "_low"], sign * row[key + "_high"]))
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def table(head, rows):
    print("| " + " | ".join(head) + " |", "|" + "---|" * len(head), sep="\n", file=out)
    for row in rows:
        print("| " + " | ".join(row) + " |", file=out)
    print(file=out)


out = open(page, "w")
say = lambda text="": print(text, file=out)
say("# Scores on real data\n")
say("Made by `Examples/scores.sh`; do not edit by hand. Model: "
    f"`{info['file']}`, {int(info.get('tasks', 0)):,} tasks of prior `{info.get('prior', '?')}`. What the columns are, "
    "`chorus score --help` tells. ± is one standard error over repetitions; brackets hold 95 % intervals of the mean of "
    "paired differences (Student's t; at random with the correction of Nadeau and Bengio 2003, because repetitions "
    "share rows).\n")

losses = []
for name, _, row, _, _ in runs:
    for key, what, sign in [("buffer_minus_independent", "The joint log-density is", 1),
                            ("energy_buffer_minus_independent", "By the energy score, joint draws are", -1),
                            ("variogram_buffer_minus_independent", "By the variogram score, joint draws are", -1)]:
        word = verdict(row, key, sign)
        if word == "worse":
            losses.append(f"**{name}**: {what} worse than of independent values by {interval(row, key)}.")
        elif word != "better":
            losses.append(f"{name}: {what} not shown to differ from independent ones, {interval(row, key)}.")
    if verdict(row, "reencode_minus_buffer", 1) == "better":
        losses.append(f"{name}: The buffer loses {interval(row, 'reencode_minus_buffer')} nats a value against "
                      "re-encoding.")
    off = row["coverage_90"] - 0.9
    error = row["coverage_90_se"] or 0
    if abs(off) > max(2 * error, 0.02):
        losses.append(f"{name}: 90 % intervals of single values hold {100 * row['coverage_90']:.0f} % of them: "
                      f"{'too narrow' if off < 0 else 'too wide'}.")
claims = []
try:
    claims = [json.loads(text) for text in open(f"{work}/claims.jsonl")]
except FileNotFoundError:
    pass
for claim in claims:
    if claim["draws"] == "joint" and not claim["coverage_90_low"] <= 0.9 <= claim["coverage_90_high"]:
        losses.append(f"elecdemand: joint draws claim 90 % for the {claim['functional']} of 16 values and hold "
                      f"{100 * claim['coverage_90']:.1f} % of {claim['repetitions']}.")
say("## What is lost\n")
for loss in losses or ["Nothing of what is looked for: a difference that is worse or not shown, a 90 % interval off."]:
    say(f"- {loss}")
say()

say("## Log-density, nats a value\n")
say("Of up to 64 held-out values: each on its own, jointly over the buffer, and re-encoding. More is better. "
    "Standardised (by the context's standard deviation):\n")
table(["data", "repetitions", "N", "K", "independent", "buffer", "re-encode", "buffer − independent", "re-encode − buffer"],
      [[name, str(max(count, 1) if count else 200), number(row["context"], 0), number(row["targets"], 0),
        mean(row, "independent"), mean(row, "buffer"), mean(row, "reencode"),
        interval(row, "buffer_minus_independent"), interval(row, "reencode_minus_buffer")]
       for name, _, _, row, count in runs])
say("In the file's units:\n")
table(["data", "independent", "buffer", "re-encode"],
      [[name, mean(row, "independent"), mean(row, "buffer"), mean(row, "reencode")] for name, _, row, _, _ in runs])

say("## CRPS, energy and variogram score\n")
say("In the file's units, less is better. CRPS is of single values; the others are of values together, from 200 paths.\n")
table(["data", "CRPS", "energy, independent", "energy, joint", "joint − independent"],
      [[name, mean(row, "crps"), mean(row, "energy_independent"), mean(row, "energy_buffer"),
        interval(row, "energy_buffer_minus_independent")] for name, _, row, _, _ in runs])
table(["data", "variogram, independent", "variogram, joint", "joint − independent"],
      [[name, mean(row, "variogram_independent"), mean(row, "variogram_buffer"),
        interval(row, "variogram_buffer_minus_independent")] for name, _, row, _, _ in runs])

say("## Calibration of single values\n")
say("The part of held-out values inside central intervals, and how many fell into each tenth of their predictive "
    "distribution (level if calibrated).\n")
table(["data", "values", "50 %", "80 %", "90 %", "95 %", "tenths"],
      [[name, f"{sum(row[f'pit_{k}'] for k in range(1, 11)):,}"]
       + [number(row[f"coverage_{k}"]) for k in (50, 80, 90, 95)]
       + [" ".join(str(row[f"pit_{k}"]) for k in range(1, 11))] for name, _, row, _, _ in runs])

if claims:
    say("## The sum of 16 values\n")
    say(f"Of {claims[0]['repetitions']} windows of elecdemand that hold out different rows: how often the sum (and the "
        "largest) of the 16 values lay inside the central interval that joint draws claim for it, and that draws of each "
        "value on its own claim. Brackets: 95 % by Wilson.\n")
    table(["number", "draws", "50 %", "80 %", "90 %", "95 %", "width of 90 %", "CRPS", "joint − independent"],
          [[row["functional"], row["draws"]]
           + [f"{number(row[f'coverage_{k}'])} ({number(row[f'coverage_{k}_low'])} to {number(row[f'coverage_{k}_high'])})"
              for k in (50, 80, 90, 95)]
           + [number(row["width_90"], 2), mean(row, "crps"),
              interval(row, "crps_minus_independent") if row["draws"] == "joint" else ""] for row in claims])

say("## Commands\n")
for _, command, *_ in runs:
    say(f"    {command}")
if claims:
    say("    " + open(f"{work}/claims.command").read().strip())
    say("\nelecdemand.csv is the whole year, 17,520 rows; the repository has one week of it.")
PYTHON
