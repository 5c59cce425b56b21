"""What a call from Python costs beside the library's own time, and a thousand contexts in one call beside scikit-learn's Gaussian process.

    python benchmarks/overhead.py [--contexts 1000]

Times of one call are the least of several, in this process; the library's own is that of the same C function with everything prepared.
"""

import argparse
import ctypes
import time

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from chorus_joint import Model
from chorus_joint.reading import _Points, _rows
from chorus_joint.native import Options, address, library


def least(body, times: int) -> float:
    """Seconds of the fastest of several runs."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        body()
        best = min(best, time.perf_counter() - start)
    return best


def one_value(model: Model) -> None:
    x = np.linspace(0, 6, 50)
    y = np.sin(2 * x)
    posterior = model.condition(x, y)
    at = np.array([6.5])
    points, options = _Points(at, posterior), Options(plan=b"sequential")
    values, means, outside = np.empty(1), np.empty(1), np.empty(1, dtype=np.int32)
    pointer, asked, given = posterior.handle.pointer, ctypes.byref(points.points), ctypes.byref(options)
    places = [address(values), address(means), None, address(outside)]
    own = least(lambda: library.chorus_sample(pointer, asked, 1, given, None, 0, *places), 2000)
    python = least(lambda: posterior.sample(at, 1), 2000)
    print(f"a context that was read, 1 point, 1 path: library {1e6 * own:.0f} us, Python {1e6 * python:.0f} us, {python / own:.2f} times")

    rows, _kept = _rows(x, y, False)
    model_pointer = model.handle.pointer

    def both() -> None:
        made = ctypes.c_void_p()
        library.chorus_condition(model_pointer, ctypes.byref(rows), None, ctypes.byref(made))
        library.chorus_sample(made, asked, 1, given, None, 0, *places)
        library.chorus_free(made)

    own, python = least(both, 100), least(lambda: model.condition(x, y).sample(at, 1), 100)
    print(f"1 context of 50 rows, 1 point, 1 path: library {1e6 * own:.0f} us, Python {1e6 * python:.0f} us, {python / own:.2f} times")


def many(model: Model, contexts: int) -> None:
    stream = np.random.default_rng(1)
    xs = [np.sort(stream.uniform(0, 10, 50)) for _ in range(contexts)]
    ys = [np.sin(x * stream.uniform(0.5, 2)) + 0.1 * stream.normal(size=50) for x in xs]
    at = np.linspace(0.5, 10.5, 10)

    def chorus() -> None:
        model.condition(xs, ys, many=True).answer(at, 100, levels=[0.05, 0.5, 0.95])

    def process(count: int) -> None:
        kernel = ConstantKernel(1.0) * RBF(1.0) + WhiteKernel(0.1)
        for x, y in zip(xs[:count], ys[:count]):
            fitted = GaussianProcessRegressor(kernel, normalize_y=True).fit(x[:, None], y)
            fitted.sample_y(at[:, None], 100)

    for name, body in [
        (f"in one call, {model.description['threads']} threads", chorus),
        ("scikit-learn's Gaussian process, fitted to each", lambda: process(contexts)),
    ]:
        start, processor = time.perf_counter(), time.process_time()
        body()
        taken, used = time.perf_counter() - start, time.process_time() - processor
        print(f"{contexts} contexts of 50 rows, 10 targets, 100 paths, {name}: {taken:.2f} s, {used:.2f} s of processors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--contexts", type=int, default=1000)
    asked = parser.parse_args()
    one_value(Model("functions", n_jobs=1))
    many(Model("functions", n_jobs=-1), asked.contexts)
