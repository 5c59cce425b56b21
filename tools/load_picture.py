#!/usr/bin/env python3
"""Draws what `tools/load_service.py` measured: latency against load (`--sweep`), or memory over time (`--trace`).

    tools/load_picture.py load.csv docs/images/load.svg
"""
import csv
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 24, 40, 52
LINES = [("p50_ms", "median", "#0072b2"), ("p90_ms", "90 %", "#e69f00"), ("p99_ms", "99 %", "#d55e00")]


def memory(rows):
    """Memory against the requests that were sent."""
    sent = [sum(float(row[name]) for name in ("answered", "refused", "lost")) for row in rows]
    held = [float(row["memory_mib"]) for row in rows]
    top = 50 * math.ceil(max(held) / 50)
    x = lambda count: LEFT + (WIDTH - LEFT - RIGHT) * count / max(sent)
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top
    title = f"Memory while {max(sent):,.0f} requests come at more than it can answer".replace(",", "\u202f")
    out = start(title)
    for value in range(0, top + 1, max(10, top // 5 // 10 * 10)):
        out += across(y(value), value)
    step = 10 ** math.floor(math.log10(max(sent)))
    step = step if max(sent) / step >= 4 else step // 4
    for count in range(0, int(max(sent)) + 1, max(1, step)):
        out += down(x(count), f"{count:,}".replace(",", "\u202f"))
    out += axes("requests that came", "MiB")
    line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(sent, held))
    out.append(f'<polyline points="{line}" fill="none" stroke="{LINES[0][2]}" stroke-width="2"/>')
    return "\n".join(out + ["</svg>"]) + "\n"


def start(title):
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" '
        'font-family="sans-serif" font-size="13">',
        "<style>text{fill:#333}.grid{stroke:#ddd}@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}}</style>",
        f'<text x="{LEFT}" y="22" font-size="15">{title}</text>']


def across(place, label):
    return [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>',
            f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{label}</text>']


def down(place, label):
    return [f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
            f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{label}</text>']


def axes(below, beside):
    return [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{below}</text>',
            f'<text x="{LEFT - 8}" y="{TOP - 12}" text-anchor="end">{beside}</text>']


def latencies(rows):
    """Latency against load."""
    rates = [float(row["rate"]) for row in rows]
    most = max(float(row["answered"]) / float(row["seconds"]) for row in rows)
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000) if max(rates) / step <= 10)
    values = [float(row[name]) for row in rows for name, _, _ in LINES if math.isfinite(float(row[name]))]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    x = lambda rate: LEFT + (WIDTH - LEFT - RIGHT) * rate / max(rates)
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(value) - low) / (high - low)
    title = f"Latency against load; at most {most:.0f} requests a second are answered"
    out = start(title)
    for power in range(low, high + 1):
        out += across(y(10 ** power), f"{10 ** power:g}")
    for rate in range(0, int(max(rates)) + 1, step):
        out += down(x(rate), rate)
    out += axes("requests a second, at random times", "ms")
    for name, label, colour in LINES:
        points = [(x(rate), y(float(row[name]))) for rate, row in zip(rates, rows) if math.isfinite(float(row[name]))]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    for index, (_, label, colour) in enumerate(LINES):
        top = TOP + 18 + 18 * index
        out.append(f'<line x1="{LEFT + 12}" x2="{LEFT + 34}" y1="{top - 4}" y2="{top - 4}" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{LEFT + 40}" y="{top}">{label}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


with open(sys.argv[1]) as source, open(sys.argv[2], "w") as target:
    rows = list(csv.DictReader(source))
    target.write(memory(rows) if "memory_mib" in rows[0] else latencies(rows))
