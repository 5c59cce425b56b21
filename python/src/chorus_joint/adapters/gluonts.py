"""GluonTS: a predictor whose forecasts are coherent sample paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from gluonts.dataset.common import Dataset
from gluonts.model.forecast import SampleForecast
from gluonts.model.predictor import Predictor

from ..frames import _days
from ..models import Model


class ChorusPredictor(Predictor):
    """Predicts every series of a GluonTS data set from its own rows.

    Parameters
    ----------
    prediction_length : int
        steps after the last one
    model, n_jobs : as in `Model`
    scale, bounds : as in `Model.condition`
    plan, seed : as in `Posterior.sample`
    batch : int
        series in a call
    """

    def __init__(
        self,
        prediction_length: int,
        *,
        model: str = "functions",
        scale: str = "auto",
        bounds: tuple[float | None, float | None] | None = None,
        plan: str = "sequential",
        seed: int = 0,
        n_jobs: int | None = -1,
        batch: int = 512,
    ) -> None:
        super().__init__(prediction_length=prediction_length)
        self.model = Model(model, n_jobs=n_jobs)
        self.scale, self.bounds, self.plan, self.seed, self.batch = scale, bounds, plan, seed, batch

    def predict(self, dataset: Dataset, num_samples: int = 100) -> Iterator[SampleForecast]:
        """Forecasts, one a series.

        Parameters
        ----------
        dataset : entries with ``target``, shape [rows], a ``start`` and perhaps an ``item_id``
        num_samples : int

        Yields
        ------
        SampleForecast with samples, shape [num_samples, prediction_length]
        """
        batch: list[dict] = []
        for entry in dataset:
            batch.append(entry)
            if len(batch) == self.batch:
                yield from self._forecasts(batch, num_samples)
                batch = []
        if batch:
            yield from self._forecasts(batch, num_samples)

    def _forecasts(self, entries: list[dict], count: int) -> Iterator[SampleForecast]:
        starts, observed, values, points = [], [], [], []
        for entry in entries:
            target = np.asarray(entry["target"], dtype=np.float64)
            start = entry["start"] if isinstance(entry["start"], pd.Period) else pd.Period(entry["start"])
            periods = pd.period_range(start, periods=len(target) + self.prediction_length, freq=start.freq)
            times = _days(periods.to_timestamp().to_numpy())
            known = np.flatnonzero(~np.isnan(target))
            starts.append(periods[len(target)])
            observed.append(times[known])
            values.append(target[known])
            points.append(times[len(target) :])
        posterior = self.model.condition(
            observed, values, many=True, kinds=["date"], scale=self.scale, bounds=self.bounds, asked=points
        )
        answer = posterior.answer(points, count, seed=self.seed, plan=self.plan)
        for entry, start, paths in zip(entries, starts, answer.paths):
            yield SampleForecast(samples=paths, start_date=start, item_id=entry.get("item_id"))
