"""What the comparisons share: scores of drawn and quantile laws, intervals of means, Markdown tables."""

import numpy as np

LEVELS = (np.arange(199) + 1) / 200


def crps(y, quantiles):
    """By 199 quantiles (`LEVELS`), for every kind of law alike; a value for each of y."""
    miss = y[:, None] - quantiles
    return 2 * np.where(miss > 0, LEVELS * miss, (LEVELS - 1) * miss).mean(1)


def energy(draws, y):
    """Energy score of draws [draw, value], the unbiased form."""
    near = np.linalg.norm(draws - y, axis=1).mean()
    squares, count = (draws ** 2).sum(1), len(draws)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * draws @ draws.T, 0)).sum() / (count * (count - 1))
    return near - apart / 2


def interval(values, stream):
    """Mean and its 95 % interval over series or tables by 2,000 bootstraps."""
    values = np.asarray(values)
    means = values[stream.integers(len(values), size=(2000, len(values)))].mean(1)
    return values.mean(), *np.quantile(means, [0.025, 0.975])


def table(say, head, rows):
    say("| " + " | ".join(head) + " |")
    say("|" + "---|" * len(head))
    for row in rows:
        say("| " + " | ".join(row) + " |")
    say()
