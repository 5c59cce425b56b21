"""Nixtla: forecasts in the frames that its packages read (`unique_id`, `ds`, `Chorus`, `Chorus-lo-90`, `Chorus-hi-90`)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..frames import predict_df


def forecast(df, h: int, *, level: Sequence[float] = (), alias: str = "Chorus", **options):
    """Forecasts of every series, as `StatsForecast.forecast` names its columns.

    Parameters
    ----------
    df : data frame with unique_id, ds and y
    h : int
        steps after the last row of each series
    level : sequence of float, in per cent
        of the central intervals
    alias : str
        the name of the column of expected values
    options : of `predict_df`

    Returns
    -------
    data frame of the same library, with h rows a series
    """
    if wrong := [one for one in level if not 0 < one < 100]:
        raise UsageError(f"level {wrong[0]} is not between 0 and 100")
    ends = {f"{alias}-{side}-{one:g}": (100 + sign * one) / 200 for one in level for side, sign in (("lo", -1), ("hi", 1))}
    found = predict_df(df, h, quantiles=list(ends.values()), **options)
    names = {"mean": alias} | {f"q{value}": name for name, value in ends.items()}
    if hasattr(found, "with_columns"):
        return found.drop("outside", "note").rename(names)
    return found.drop(columns=["outside", "note"]).rename(columns=names)
