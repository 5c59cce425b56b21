"""The numbers of the program, bit for bit."""

import csv
import io

import numpy as np
import pytest

from chorus_joint import predict_df

pandas = pytest.importorskip("pandas")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("file", "time", "target", "dates", "options"),
    [
        ("co2.csv", "date", "co2", True, {"horizon": 12}),
        ("sunspots.csv", "YEAR", "SUNACTIVITY", False, {"horizon": 9}),
        ("elecdemand.csv", "time", "Demand", True, {"horizon": 48}),
        ("mcycle.csv", "times", "accel", False, {"horizon": 4, "every": "0.4"}),
        ("co2.csv", "date", "co2", True, {"horizon": 6, "scale": "log", "bounds": (300, 500), "plan": "coarse-to-fine(r:2)"}),
    ],
)
def test_a_file_of_one_series(program, examples, tmp_path, file, time, target, dates, options):
    frame = pandas.read_csv(examples / file)
    if dates:
        frame[time] = pandas.to_datetime(frame[time])
    given = ["--horizon", options["horizon"], "--samples", 20, "--seed", 5, "--output", tmp_path / "paths.csv"]
    if "every" in options:
        given += ["--every", options["every"]]
    if "scale" in options:
        given += ["--scale", options["scale"], "--plan", options["plan"], "--min", 300, "--max", 500]
    expected = rows(program("predict", examples / file, "--input", time, "--target", target, *given))
    columns = {"time_column": time, "target_column": target, "n_paths": 20, "seed": 5}
    found = predict_df(frame, **columns, **options)
    assert len(found) == options["horizon"] == len(expected)
    for name in ["mean", "q0.05", "q0.5", "q0.95"]:
        assert [float(row[name]) for row in expected] == found[name].tolist(), name
    assert [row["note"] or None for row in expected] == found["note"].tolist()
    assert [row["outside"] or None for row in expected] == found["outside"].tolist()
    if dates:
        assert pandas.to_datetime([row[time] for row in expected]).tolist() == found[time].tolist()
    else:
        assert [float(row[time]) for row in expected] == found[time].tolist()
    paths = predict_df(frame, paths=True, **columns, **options)
    written = rows((tmp_path / "paths.csv").read_text())
    assert [float(row[target]) for row in written] == paths[target].tolist()
    assert [int(row["path"]) for row in written] == paths["path"].tolist()


def test_a_file_of_many_series(program, tmp_path):
    stream = np.random.default_rng(1)
    days = pandas.date_range("2024-01-01", periods=40, freq="D")
    parts = []
    for index, count in enumerate([40, 12, 1, 25]):
        level = 10 * index + np.cumsum(stream.normal(size=count)).round(3)
        parts.append(pandas.DataFrame({"unique_id": f"s{index}", "ds": days[:count], "y": level}))
    frame = pandas.concat(parts, ignore_index=True)
    frame.to_csv(tmp_path / "series.csv", index=False)
    expected = rows(
        program(
            "predict", tmp_path / "series.csv", "--input", "ds", "--target", "y", "--group", "unique_id", "--horizon", 7,
            "--samples", 11,
        )
    )
    found = predict_df(frame, 7, n_paths=11)
    assert [row["unique_id"] for row in expected] == found["unique_id"].tolist()
    assert [row["ds"] for row in expected] == found["ds"].dt.strftime("%Y-%m-%d").tolist()
    for name in ["mean", "q0.05", "q0.5", "q0.95"]:
        numbers = [float(row[name] or "nan") for row in expected]
        np.testing.assert_array_equal(numbers, found[name].to_numpy())
    # Told why, in the words of each.
    assert expected[14]["note"].startswith("not predicted") and found["note"][14].startswith("not predicted")


def test_a_context_kept_by_either(program, examples, tmp_path):
    from chorus_joint import Model

    frame = pandas.read_csv(examples / "mcycle.csv")
    posterior = Model().condition(frame["times"], frame["accel"], names=["times", "accel"])
    posterior.save(tmp_path / "own.safetensors")
    program(
        "condition", examples / "mcycle.csv", "--input", "times", "--target", "accel", "--output", tmp_path / "cli.safetensors"
    )
    at = np.array([1.0, 8, 15, 22])
    answers = [
        [float(row["mean"]) for row in rows(program("predict", "--context", tmp_path / name, "--at", "1..22/7"))]
        for name in ["own.safetensors", "cli.safetensors"]
    ]
    assert answers[0] == answers[1] == Model().load(tmp_path / "cli.safetensors").answer(at).mean.tolist()


def test_a_table(program, examples, tmp_path):
    pytest.importorskip("sklearn")
    from chorus_joint import ChorusRegressor

    known = pandas.read_csv(examples / "penguins.csv").dropna(subset=["body_mass_g"])
    inputs = known.drop(columns="body_mass_g")
    new = pandas.read_csv(examples / "penguins-new.csv").reindex(columns=inputs.columns).astype({"sex": object, "species": object})
    program(
        "predict", examples / "penguins.csv", "--target", "body_mass_g", "--at-file", examples / "penguins-new.csv",
        "--samples", 25, "--seed", 3, "--output", tmp_path / "paths.csv",
    )
    drawn = ChorusRegressor().fit(inputs, known["body_mass_g"]).sample_y(new, 25, random_state=3)
    written = rows((tmp_path / "paths.csv").read_text())
    assert [float(row["body_mass_g"]) for row in written] == drawn.T.ravel().tolist()


def test_what_is_known(program, examples):
    from chorus_joint import Model

    frame = pandas.read_csv(examples / "sunspots.csv")
    at = np.arange(2009.0, 2015)
    posterior = Model().condition(frame["YEAR"], frame["SUNACTIVITY"], asked=at)
    found = posterior.given(2010, value=20).given("sum", most=300).answer(at, 30)
    given = ["--given", "2010=20", "--given", "sum<=300"]
    expected = rows(
        program(
            "predict", examples / "sunspots.csv", "--input", "YEAR", "--target", "SUNACTIVITY", "--at", "2009..2014/1", "--samples", 30,
            *given,
        )
    )
    assert [float(row["mean"]) for row in expected] == found.mean.tolist()


def test_known_errors_and_columns_beside_time(program, tmp_path):
    stream = np.random.default_rng(4)
    days = np.arange(60)
    frame = pandas.DataFrame({
        "day": pandas.date_range("2024-03-01", periods=60, freq="D"),
        "sold": 20 + 3 * np.sin(days * 2 * np.pi / 7) + stream.normal(size=60).round(2),
        "price": (5 + stream.normal(size=60)).round(2),
        "shop": np.where(days % 3 == 0, "closed early", "open"),
        "error": (0.2 + 0.3 * (days % 4)).round(2),
    })
    frame["sold"] = (frame["sold"] - 2 * frame["price"] - 4 * (frame["shop"] == "closed early")).round(2)
    frame.loc[52:, "sold"] = np.nan
    frame.to_csv(tmp_path / "sales.csv", index=False)
    columns = {"time_column": "day", "target_column": "sold", "n_paths": 40, "seed": 2}

    def asked(*options):
        return rows(program("predict", tmp_path / "sales.csv", "--input", "day", "--target", "sold", "--samples", 40, "--seed", 2, *options))

    for options, arguments in [
        (["--with", "price,shop"], {"covariates": ["price", "shop"]}),
        (["--error", "error"], {"error_column": "error"}),
        (["--with", "price", "--error", "error"], {"covariates": ["price"], "error_column": "error"}),
    ]:
        expected, found = asked(*options), predict_df(frame, **columns, **arguments)
        assert len(expected) == len(found) == 8
        for name in ["mean", "q0.05", "q0.5", "q0.95"]:
            assert [float(row[name]) for row in expected] == found[name].tolist(), (options, name)
    plain = predict_df(frame, **columns)
    known = predict_df(frame, **columns, error_column="error")
    assert plain["mean"].tolist() != known["mean"].tolist()

    future = frame.loc[52:, ["day", "price", "shop"]]
    both = predict_df(frame, future_df=future, covariates=["price", "shop"], **columns)
    assert both["mean"].tolist() == predict_df(frame, covariates=["price", "shop"], **columns)["mean"].tolist()
    with pytest.raises(ValueError, match="is in no row of df"):
        predict_df(frame, future_df=future.assign(shop="never seen"), covariates=["price", "shop"], **columns)
    with pytest.raises(ValueError, match="known at the points too"):
        predict_df(frame, 5, covariates=["price"], **columns)
    with pytest.raises(ValueError, match="row 3 has the error -1"):
        predict_df(frame.assign(error=frame["error"].where(days != 3, -1.0)), error_column="error", **columns)
