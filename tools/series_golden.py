"""Golden cases of the series hint: small series of our own, and what the reference says of them.

    python tools/series_golden.py > Tests/ChorusHintsTests/Fixtures/series-hint.json
"""

import json
import math
import sys

import numpy as np

from series_hint import Hint


def golden():
    """Small series of our own with what the hint says of them."""
    stream = np.random.default_rng(20190602)
    noise = lambda n: stream.standard_normal(n)
    out = []

    def add(name, x, y, asked, clock=None, periods=None):
        x, y = np.round(x, 6), np.round(y, 4)
        hint = Hint(x, y, clock, periods)
        mean, covariance = hint.at(asked)
        left, deviation = hint.left_out()
        out.append({
            "name": name, "clock": clock, "given": periods, "x": list(x), "y": list(y), "asked": [float(a) for a in asked],
            "periods": [float(p) for p in hint.periods], "power": hint.power, "level": list(hint.setting["level"]),
            "slope": hint.setting["slope"], "seasons": [list(s) for s in hint.setting["seasons"]],
            "evidence": hint.evidence, "mean": list(mean), "deviation": list(np.sqrt(np.diag(covariance))),
            "correlation": float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])),
            "leftOutMean": list(left), "leftOutDeviation": list(deviation), "features": hint.features()})

    t = np.arange(24.0)
    add("quarters with a pattern", t, 100 + np.tile([0, 15, 9, 30], 6) + noise(24), [24, 25, 26, 27, 12.5], None)
    t = np.arange(60.0)
    wave = 0.2 * np.sin(2 * math.pi * t / 12) + 0.1 * np.cos(4 * math.pi * t / 12)
    add("months that grow with their season", t, np.exp(4 + 0.015 * t + wave + 0.03 * noise(60)),
        [60, 61, 66, 71, -1], "month")
    t = np.sort(stream.uniform(0, 50, 40))
    add("uneven rows of a wave", t, np.sin(2 * math.pi * t / 6.3) + 0.2 * noise(40), [10.0, 10.5, 51.0, 60.0, -3.0])
    t = np.setdiff1d(np.arange(70.0), np.arange(30.0, 44.0))
    add("days with a gap", t, 5 + np.cumsum(noise(70))[t.astype(int)] * 0.3 + np.tile([0, 0, 0, 0, 1, 4, 3], 10)[t.astype(int)],
        [35, 36, 42, 70, 76], "day")
    t = np.array([day + (9 + half / 2) / 24 for day in range(8) for half in range(14)])
    add("working hours", t, 40 + 8 * np.sin(math.pi * (t % 1 * 24 - 9) / 7) + noise(len(t)),
        [8 + 9 / 24, 8 + 9.5 / 24, 8 + 12 / 24, 7.98], "day")
    add("eight rows", np.arange(8.0), np.array([3.0, 4.1, 4.9, 6.2, 7.0, 7.8, 9.1, 10.0]), [8, 9, 20, -2])
    level = np.cumsum(noise(100))
    add("a walk", np.arange(100.0), level, [99.5, 100, 101, 120])
    odd = np.tile([0, 2, 5, 2], 10) + 0.3 * noise(40)
    odd[17] = 60
    add("a row far from the others", np.arange(40.0), odd, [40, 41, 17, 43])
    count = np.maximum(0, np.round(4 + 4 * np.sin(2 * math.pi * np.arange(56.0) / 7) + noise(56)))
    add("counts with zeros", np.arange(56.0), count, [56, 57, 60], "day")
    swing, state = [], np.zeros(2)
    for push in noise(120):
        # An oscillator of 11 rows that loses half of its swing in a period.
        state = np.array([1.64 * state[0] - 0.9 * state[1] + push, state[0]])
        swing.append(state[0])
    add("a swing without a clock", np.arange(120.0), 40 + np.array(swing) + 0.3 * noise(120), [120, 123, 60.5, 131, 160])
    return out


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    plain = lambda v: v.item() if isinstance(v, np.generic) else str(v)
    print("[\n" + ",\n".join(json.dumps(case, default=plain) for case in golden()) + "\n]")
