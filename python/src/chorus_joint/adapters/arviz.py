"""ArviZ and xarray: paths with named dimensions."""

from __future__ import annotations

from collections.abc import Mapping

import arviz
import numpy as np
import xarray

from ..errors import UsageError


def to_xarray(paths, at, *, name: str = "y", point: str = "point") -> xarray.DataArray:
    """Paths of one context as an array with named dimensions.

    Parameters
    ----------
    paths : array, shape [paths, points]
    at : array, shape [points]
        coordinates of the points
    name, point : str
        names of the values and of the dimension of points

    Returns
    -------
    DataArray, dimensions ``draw`` and `point`
    """
    paths, at = np.asarray(paths), np.asarray(at)
    if paths.ndim != 2 or at.shape != paths.shape[1:]:
        raise UsageError(f"paths have the shape {paths.shape} and points {at.shape}; give [paths, points] and [points]")
    return xarray.DataArray(paths, dims=("draw", point), coords={"draw": np.arange(len(paths)), point: at}, name=name)


def to_arviz(paths, at, *, observed: Mapping[str, np.ndarray] | None = None, name: str = "y", point: str = "point"):
    """Paths as the group ``posterior_predictive`` of ArviZ, of one chain.

    Parameters
    ----------
    paths, at, name, point : as in `to_xarray`
    observed : mapping, optional
        arrays for the group ``observed_data``

    Returns
    -------
    InferenceData, or a DataTree with ArviZ 1
    """
    values = to_xarray(paths, at, name=name, point=point)
    groups = {"posterior_predictive": {name: values.values[None]}}
    if observed is not None:
        groups["observed_data"] = {key: np.asarray(value) for key, value in observed.items()}
    coords, dims = {point: values[point].values}, {name: [point]}
    if int(arviz.__version__.split(".")[0]) >= 1:
        return arviz.from_dict(groups, coords=coords, dims=dims)
    return arviz.from_dict(**groups, coords=coords, dims=dims)
