import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import chorus_joint
from chorus_joint import DataError, MissingError, Model, UsageError


def test_what_a_model_takes():
    description = Model("functions").description
    assert description["name"] == "functions"
    assert description["inputs"]["most"] >= 1
    assert "number" in description["inputs"]["kinds"]
    assert chorus_joint.__version__ == chorus_joint.version()


def test_same_bytes_for_any_threads_and_grouping(wave):
    x, y = wave
    at = [6.5, 7.0, 2.2]
    one = Model("functions", n_jobs=1).condition(x, y).sample(at, 7, seed=3)
    two = Model("functions", n_jobs=2).condition(x, y).sample(at, 7, seed=3)
    many = Model("functions", n_jobs=2).condition([x, x[:9], x], [y, y[:9], -y], many=True)
    together = many.sample([at, [6.0], at], 7, seed=3)
    assert one.shape == (7, 3)
    assert np.array_equal(one, two)
    assert np.array_equal(one, together[0])
    assert together[1].shape == (7, 1)
    # The same points for all, and fewer paths.
    shared = many.sample(np.array(at), 3, seed=3)
    assert np.array_equal(shared[0], one[:3])


def test_answer_has_means_quantiles_and_notes(wave):
    posterior = Model().condition(*wave)
    answer = posterior.answer([6.5, 300.0], 50, levels=[0.1, 0.9], seed=1)
    assert answer.paths.shape == (50, 2) and answer.mean.shape == (2,) and answer.quantiles.shape == (2, 2)
    assert np.all(answer.quantiles[:, 0] < answer.quantiles[:, 1])
    assert answer.outside[1] & 2 and not answer.outside[0] & 2
    assert "farther from the observed rows" in answer.notes[0]


def test_densities_are_coherent(wave):
    posterior = Model().condition(*wave)
    at, y = [6.5, 6.6], [1.2, 1.2]
    laws = posterior.marginals(at, levels=[0.05, 0.95], y=y)
    assert np.all(laws.quantiles[:, 0] < laws.mean) and np.all(laws.mean < laws.quantiles[:, 1])
    assert laws.std.shape == (2,)
    # One value alone has the same density in both ways.
    assert posterior.log_density(at[:1], y[:1]) == pytest.approx(laws.log_density[0], rel=1e-5)
    # Neighbours know of one another: of values drawn together the joint density is the larger one, on average.
    drawn = posterior.sample(at, 40, seed=1)
    together = np.mean([posterior.log_density(at, path) for path in drawn])
    alone = np.mean([posterior.marginals(at, y=path).log_density.sum() for path in drawn])
    assert together > alone + 0.1


def test_functionals(wave):
    posterior = Model().condition(*wave)
    at = [6.5, 6.0, 7.0]
    paths = posterior.sample(at, 20)
    numbers = posterior.functionals(at, paths, ["sum", "max", "difference"])
    assert numbers.shape == (3, 20)
    np.testing.assert_allclose(numbers[0], paths.sum(axis=1))
    assert np.array_equal(numbers[1], paths.max(axis=1))
    assert np.array_equal(numbers[2], paths[:, 2] - paths[:, 1])


def test_paths_agree_with_what_is_known(wave):
    posterior = Model().condition(*wave)
    at = [6.5, 7.0, 2.2]
    high = posterior.given(6.5, least=1.2)
    drawn = high.sample(at, 30, seed=2)
    assert drawn.shape == (30, 3) and drawn[:, 0].min() >= 1.2
    low = high.given("sum", most=2.5).sample(at, 30, seed=2)
    assert low.sum(axis=1).max() <= 2.5 and low[:, 0].min() >= 1.2
    pinned = posterior.given([6.5], value=3)
    assert abs(pinned.marginals([6.5]).mean[0] - 3) < abs(posterior.marginals([6.5]).mean[0] - 3)
    assert np.array_equal(pickle.loads(pickle.dumps(high)).sample(at, 30, seed=2), drawn)
    with pytest.raises(UsageError, match="no densities"):
        high.log_density(at, [1, 1, 1])
    with pytest.raises(UsageError, match="no path meets sum"):
        posterior.given("sum", value=3)
    with pytest.raises(UsageError, match="none of sum"):
        posterior.given("median", least=3)
    with pytest.raises(UsageError, match="2 numbers, and the rows have 1"):
        posterior.given([1, 2], least=3)
    with pytest.raises(DataError, match="too few"):
        posterior.given(6.5, least=1e6).sample(at, 30)


def test_bounds_and_scale(wave):
    x, y = wave
    noise = np.abs(np.random.default_rng(2).normal(size=25)).round(2)
    anywhere = Model().condition(x, noise, scale="raw").sample([2.3, 7], 200)
    bounded = Model().condition(x, noise, scale="raw", bounds=(0, None)).sample([2.3, 7], 200)
    assert anywhere.min() < 0 <= bounded.min()
    positive = Model().condition(x, np.exp(3 * y), scale="log").sample([1, 2, 3, 7], 50)
    assert positive.min() > 0
    with pytest.raises(DataError, match="below the least"):
        Model().condition(x, y, bounds=(0, None))
    with pytest.raises(UsageError, match="not below"):
        Model().condition(x, y, bounds=(1, 0))


def test_errors_are_exceptions_of_the_right_class(wave, tmp_path):
    x, y = wave
    with pytest.raises(MissingError, match="no model 'nothing'"):
        Model("nothing")
    assert issubclass(MissingError, FileNotFoundError)
    with pytest.raises(ValueError, match="25 rows and y 24"):
        Model().condition(x, y[:-1])
    with pytest.raises(DataError, match="nan"):
        Model().condition(x, np.where(y > 0, np.nan, y))
    with pytest.raises(UsageError, match="sideways"):
        Model().condition(x, y).sample([1.0], plan="sideways")
    with pytest.raises(DataError, match="cannot be read as numbers"):
        Model().condition(["a", "b"], [1, 2])
    with pytest.raises(chorus_joint.FileAccessError):
        Model().condition(x, y).save(tmp_path / "no" / "folder.safetensors")
    with pytest.raises(DataError, match="context 1: .*at least 2"):
        Model().condition([x, x[:1]], [y, y[:1]], many=True)
    with pytest.raises(UsageError, match="number of paths"):
        Model().condition(x, y).sample([1.0], -1)
    with pytest.raises(ValueError, match="n_jobs"):
        Model(n_jobs=0)


def test_contexts_that_cannot_be_read_are_skipped(wave):
    x, y = wave
    posterior = Model().condition([x, x[:1], x], [y, y[:1], y], many=True, skip=True)
    answer = posterior.answer([[7.0], [7.0, 8.0], [7.0]], 4)
    assert list(answer.codes) == [0, 65, 0]
    assert np.isnan(answer.paths[1]).all() and answer.paths[1].shape == (4, 2)
    assert "at least 2" in answer.notes[1]
    assert np.array_equal(answer.paths[0], answer.paths[2])
    assert list(np.isnan(posterior.log_density([[7.0], [7.0, 8.0], [7.0]], [[1], [1, 1], [1]]))) == [False, True, False]


def test_kept_in_a_file(wave, tmp_path):
    posterior = Model().condition(*wave, names=["time", "level"])
    posterior.save(tmp_path / "c.safetensors")
    again = Model().load(tmp_path / "c.safetensors")
    assert np.array_equal(posterior.sample([7.0, 8.0], 5), again.sample([7.0, 8.0], 5))
    assert again.description["contexts"][0]["rows"] == 25


def test_pickled(wave):
    posterior = Model().condition(*wave)
    again = pickle.loads(pickle.dumps(posterior))
    assert np.array_equal(posterior.sample([7.0, 8.0], 5), again.sample([7.0, 8.0], 5))


def test_rows_that_join(wave):
    x, y = wave
    try:
        longer = Model().condition(x[:20], y[:20]).append(x[20:], y[20:])
    except DataError as error:
        assert "merged" in str(error)
        return
    assert longer.description["contexts"][0]["rows"] == 25
    assert longer.sample([7.0], 3).shape == (3, 1)


def test_threads_share_a_posterior(wave):
    posterior = Model(n_jobs=2).condition(*wave)
    expected = posterior.sample([7.0, 8.0], 5, seed=1)
    found = []

    def ask():
        for _ in range(5):
            found.append(np.array_equal(posterior.sample([7.0, 8.0], 5, seed=1), expected))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_ctrl_c_stops_a_long_call(wave):
    posterior = Model().condition(*wave)
    # A shell's job in the background starts with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            posterior.answer(np.linspace(0, 9, 20), 1_000_000, paths=False, flop_limit=1e18)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 20
    assert posterior.sample([7.0], 2).shape == (2, 1)  # as usable as before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_makes_its_own_handles(wave):
    posterior = Model(n_jobs=2).condition(*wave)
    expected = posterior.sample([7.0, 8.0], 30, seed=2)
    pointer = posterior.handle.pointer
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        same = np.array_equal(posterior.sample([7.0, 8.0], 30, seed=2), expected)
        # The library itself refuses the handle of the parent.
        points = chorus_joint.native.Points(rows=0, columns=1)
        code = chorus_joint.native.library.chorus_sample(pointer, points, 0, None, None, 0, None, None, None, None)
        os.write(write, b"%d %d" % (same, code))
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    assert os.read(read, 20) == b"1 64"
    assert np.array_equal(posterior.sample([7.0, 8.0], 30, seed=2), expected)
