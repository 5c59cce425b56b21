"""What a user would run on a table: each peer answers with a law of each row that is asked for, or with probabilities of classes.

Targets are standardised by the context's mean and standard deviation. Boosting gets categories and gaps as they are; the others
get categories one-hot, gaps filled with the mean and flagged. Dates are days, month, day of the week and hour.

Ridge says its leave-one-out error. The spread of all others is multiplied by one factor and widened by one normal error: those
under which rows left out of the context are likeliest. At a few dozen rows trees, and a GP with a length-scale a column, are far
too sure of rows they were fitted to. A boosted mean without a law of its own becomes a normal law in this way.
"""

import math
import os
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Hyperparameter, Kernel, StationaryKernelMixin, WhiteKernel
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeCV

from tables_laws import ASKED_LEVELS, POINT_LEVELS, Normal, Points

warnings.filterwarnings("ignore")

FOLDS = 3
FACTORS, WIDTHS = 0.02 * 1.2 ** np.arange(31), (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75)


# ---------------------------------------------------------------------------------------------
# Columns
# ---------------------------------------------------------------------------------------------

class Columns:
    """Inputs of the context and the asked rows: `numbers` with gaps, `codes` of levels (-1: missing or not in the context)."""

    def __init__(self, table, context, asked):
        self.count = len(context)
        rows = [*context, *asked]
        numbers, self.names, self.codes, self.levels, self.words = [], [], [], [], []
        for name in table.inputs:
            values = table.column(name)
            values = [values[r] for r in rows]
            if name in table.categories:
                levels = sorted({v for v in values[:self.count] if v})
                index = {level: i for i, level in enumerate(levels)}
                self.codes.append([index.get(v, -1) for v in values])
                self.levels.append(levels)
                self.words.append([v or "missing" for v in values])
            elif name in table.dates:
                numbers += calendar(values)
                self.names += [name] * 4
            else:
                numbers.append([float(v) if v else math.nan for v in values])
                self.names.append(name)
        self.numbers = np.array(numbers, float).reshape(-1, len(rows)).T
        self.codes = np.array(self.codes, int).reshape(-1, len(rows)).T
        self.words = np.array(self.words, object).reshape(-1, len(rows)).T

    def design(self):
        """Standardised columns of numbers, flags of gaps and levels; and the input that each belongs to."""
        shown, columns, owner = self.numbers[:self.count], [], []
        for j in range(self.numbers.shape[1]):
            gap = np.isnan(self.numbers[:, j])
            known = shown[:, j][~np.isnan(shown[:, j])]
            if len(known) and known.std() > 0:
                columns.append(np.where(gap, 0, (self.numbers[:, j] - known.mean()) / known.std()))
                owner.append(j)
            if 0 < gap[:self.count].sum() < self.count:
                columns.append(gap.astype(float))
                owner.append(j)
        for j, levels in enumerate(self.levels):
            for level in range(len(levels)):
                columns.append((self.codes[:, j] == level).astype(float))
                owner.append(self.numbers.shape[1] + j)
        if not columns:
            columns, owner = [np.zeros(len(self.numbers))], [0]
        return np.array(columns).T, np.array(owner)

    def coded(self):
        """Numbers, then codes, gaps as NaN; and which columns are codes."""
        codes = np.where(self.codes < 0, math.nan, self.codes)
        return np.concatenate([self.numbers, codes], 1), np.arange(self.numbers.shape[1], self.numbers.shape[1] + codes.shape[1])


def calendar(texts):
    stamps = np.array([t[:16] for t in texts], "datetime64[m]")
    days = stamps.astype("datetime64[D]")
    month = stamps.astype("datetime64[M]").astype(int) % 12
    return [stamps.astype(float) / 1440, month, (days.astype(int) + 3) % 7, (stamps - days).astype(float) / 60]


# ---------------------------------------------------------------------------------------------
# Peers for numbers: (columns, y, seed) -> a law of the rows behind the context
# ---------------------------------------------------------------------------------------------

def ridge(columns, y, seed):
    x, _ = columns.design()
    model = RidgeCV(alphas=np.logspace(-2, 4, 19)).fit(x[:columns.count], y)
    mean = model.predict(x[columns.count:])
    return Normal(mean, np.full(len(mean), math.sqrt(-model.best_score_)))


class Matern32(StationaryKernelMixin, Kernel):
    """Matérn-3/2 with a length-scale for each input; the levels of a category share theirs."""

    def __init__(self, length_scale, owner):
        self.length_scale, self.owner = length_scale, owner

    @property
    def hyperparameter_length_scale(self):
        return Hyperparameter("length_scale", "numeric", (1e-2, 1e3), len(self.length_scale))

    def __call__(self, X, Y=None, eval_gradient=False):
        Y = X if Y is None else Y
        parts = []
        for length, owner in zip(self.length_scale, np.unique(self.owner)):
            a, b = X[:, self.owner == owner], Y[:, self.owner == owner]
            square = (a ** 2).sum(1)[:, None] + (b ** 2).sum(1)[None] - 2 * a @ b.T
            parts.append(np.maximum(square, 0) / length ** 2)
        r = np.sqrt(3 * sum(parts))
        decay = np.exp(-r)
        if eval_gradient:
            return (1 + r) * decay, np.stack([3 * decay * part for part in parts], -1)
        return (1 + r) * decay

    def diag(self, X):
        return np.ones(len(X))


def limited(objective, start, bounds):
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 30})
    return found.x, found.fun


def gaussian_process(columns, y, seed):
    """scikit-learn's, constant · Matérn-3/2 + white noise, by marginal likelihood."""
    x, owner = columns.design()
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern32(np.full(len(np.unique(owner)), 2.0), owner)
    model = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-6, 1e1)), alpha=1e-8, optimizer=limited)
    mean, covariance = model.fit(x[:columns.count], y).predict(x[columns.count:], return_cov=True)
    return Normal(mean, np.sqrt(np.diag(covariance)), covariance)


def boosting(columns, y, seed):
    """scikit-learn's histogram boosting: the mean, and a model for each level."""
    x, codes = columns.coded()
    shown, asked = x[:columns.count], x[columns.count:]
    fit = lambda **more: HistGradientBoostingRegressor(
        categorical_features=codes, min_samples_leaf=5, random_state=seed, **more).fit(shown, y).predict(asked)
    return Points.of_levels(fit(), np.array([fit(loss="quantile", quantile=level) for level in ASKED_LEVELS]).T)


def lightgbm(columns, y, seed):
    from lightgbm import LGBMRegressor

    x, codes = columns.coded()
    model = LGBMRegressor(min_child_samples=5, min_data_per_group=5, verbose=-1, n_jobs=1, random_state=seed)
    mean = model.fit(x[:columns.count], y, categorical_feature=codes.tolist()).predict(x[columns.count:])
    return Normal(mean, np.ones(len(mean)))


def catboost_columns(columns):
    import pandas as pd

    frame = pd.DataFrame(columns.numbers)
    named = [f"c{j}" for j in range(columns.words.shape[1])]
    frame.columns = [f"n{j}" for j in range(columns.numbers.shape[1])]
    for j, name in enumerate(named):
        frame[name] = columns.words[:, j].astype(str)
    return frame.iloc[:columns.count], frame.iloc[columns.count:], named


def catboost(columns, y, seed):
    from catboost import CatBoostRegressor

    shown, asked, named = catboost_columns(columns)
    model = CatBoostRegressor(iterations=300, cat_features=named, thread_count=1, verbose=0, allow_writing_files=False,
                              random_seed=seed)
    mean = model.fit(shown, y).predict(asked)
    return Normal(mean, np.ones(len(mean)))


def ngboost(columns, y, seed):
    """Stopped early by a fifth of the context."""
    from ngboost import NGBRegressor

    x, _ = columns.design()
    order = np.random.default_rng([2, seed]).permutation(columns.count)
    held, rest = order[:columns.count // 5], order[columns.count // 5:]
    model = NGBRegressor(n_estimators=200, learning_rate=0.05, verbose=False, random_state=seed).fit(
        x[rest], y[rest], X_val=x[held], Y_val=y[held], early_stopping_rounds=20)
    law = model.pred_dist(x[columns.count:], max_iter=model.best_val_loss_itr)
    return Normal(law.loc, law.scale)


def quantile_forest(columns, y, seed):
    from quantile_forest import RandomForestQuantileRegressor

    x, _ = columns.design()
    model = RandomForestQuantileRegressor(n_jobs=1, random_state=seed).fit(x[:columns.count], y)
    asked = x[columns.count:]
    return Points(model.predict(asked, quantiles="mean"), model.predict(asked, quantiles=list(POINT_LEVELS)))


NUMBERS = {"ridge": ridge, "gp": gaussian_process, "forest": quantile_forest, "lightgbm": lightgbm, "boosting": boosting,
           "ngboost": ngboost, "catboost": catboost}


# ---------------------------------------------------------------------------------------------
# Rows left out of the context: the factor of the spread, and a Gaussian copula
# ---------------------------------------------------------------------------------------------

def runs(table, context, stream):
    """Rows of the context that are left out together, and the fold of each such run.

    ordered: runs of 16 rows (of a third of them, if fewer), folds in turn. grouped: halves of the rows of a group, at random.
    """
    if table.kind == "ordered":
        length = min(16, len(context) // FOLDS)
        parts = [np.arange(i, min(i + length, len(context))) for i in range(0, len(context), length)]
        return [(part, i % FOLDS) for i, part in enumerate(parts)]
    if table.kind == "unordered":
        order = stream.permutation(len(context))
        return [(np.sort(order[fold::FOLDS]), fold) for fold in range(FOLDS)]
    groups, out = table.groups[context], []
    for g, name in enumerate(stream.permutation(np.unique(groups))):
        rows = stream.permutation(np.flatnonzero(groups == name))
        half = (len(rows) + 1) // 2
        out += [(np.sort(part), (g + i) % FOLDS) for i, part in enumerate((rows[:half], rows[half:])) if len(part)]
    return out


class LeftOut:
    """Laws of the context's rows by folds."""

    def __init__(self, table, split, peer, y):
        stream = np.random.default_rng([5, split.seed, split.size])
        self.table, self.context, self.laws = table, split.context, []
        self.parts = runs(table, self.context, stream)
        for fold in range(FOLDS):
            out = np.concatenate([part for part, f in self.parts if f == fold] or [np.array([], int)])
            if not len(out):
                continue
            rest = np.setdiff1d(np.arange(len(self.context)), out)
            middle, scale = y[rest].mean(), max(y[rest].std(), 1e-9)
            columns = Columns(table, self.context[rest], self.context[out])
            self.laws.append((out, peer(columns, (y[rest] - middle) / scale, split.seed), (y[out] - middle) / scale))

    def widening(self):
        """The factor of the spread, and the width added, under which the rows are likeliest."""
        pairs = [(factor, width) for factor in FACTORS for width in WIDTHS]
        return pairs[np.argmax([sum(law.widened(*pair).logpdf(y).sum() for _, law, y in self.laws) for pair in pairs])]

    def weights(self, widening):
        """Of `correlations`: likelihoods of the rows' normal scores, scaled to unit mean square. Runs are independent."""
        z = np.zeros(len(self.context))
        for out, law, y in self.laws:
            z[out] = (law.widened(*widening) if widening else law).scores(y)
        z = np.clip(z, -4, 4)
        z /= math.sqrt((z ** 2).mean())
        total = sum(np.array([normal_log(m, z[part]) for m in correlations(self.table, self.context[part])])
                    for part, _ in self.parts if len(part) > 1)
        weights = np.exp(total - np.max(total))
        return weights / weights.sum()


def correlations(table, rows):
    """Candidates for the correlation of rows.

    ordered: a · exp(−distance in order / l). grouped: one correlation for rows of a group.
    """
    same = np.eye(len(rows))
    if table.kind == "grouped":
        alike = table.groups[rows][:, None] == table.groups[rows][None]
        return [np.where(same > 0, 1, rho * alike) for rho in np.arange(0, 0.95, 0.05)]
    distance = np.abs(rows[:, None] - rows[None])
    pairs = [(0, 1)] + [(a, l) for a in (0.2, 0.4, 0.6, 0.8, 0.95) for l in (1, 2, 4, 8, 16, 32, 64)]
    return [np.where(same > 0, 1, a * np.exp(-distance / l)) for a, l in pairs]


def normal_log(matrix, z):
    """Log-density of z under the correlation, beside that of independent normal scores."""
    factor = cho_factor(matrix + 1e-9 * np.eye(len(z)), lower=True)
    return -np.log(np.diag(factor[0])).sum() - 0.5 * z @ (cho_solve(factor, z) - z)


# ---------------------------------------------------------------------------------------------
# Peers for classes: (columns, labels 0…, number of classes, seed) -> probabilities [row, class]
# ---------------------------------------------------------------------------------------------

def filled(model, probabilities, count):
    out = np.zeros((len(probabilities), count))
    out[:, np.asarray(model.classes_, int).ravel()] = probabilities
    return out


def frequencies(columns, labels, count, seed):
    share = (np.bincount(labels, minlength=count) + 1) / (len(labels) + count)
    return np.tile(share, (len(columns.numbers) - columns.count, 1))


def logistic(columns, labels, count, seed):
    """L2, its strength by folds and log-loss where every class has five rows, else 1."""
    x, _ = columns.design()
    if np.bincount(labels, minlength=count).min() >= 5:
        model = LogisticRegressionCV(Cs=np.logspace(-3, 2, 11), scoring="neg_log_loss", cv=5, max_iter=1000)
    else:
        model = LogisticRegression(max_iter=1000)
    model.fit(x[:columns.count], labels)
    return filled(model, model.predict_proba(x[columns.count:]), count)


def forest_classes(columns, labels, count, seed):
    x, _ = columns.design()
    model = RandomForestClassifier(500, min_samples_leaf=2, random_state=seed).fit(x[:columns.count], labels)
    return filled(model, model.predict_proba(x[columns.count:]), count)


def boosting_classes(columns, labels, count, seed):
    x, codes = columns.coded()
    model = HistGradientBoostingClassifier(categorical_features=codes, min_samples_leaf=5, random_state=seed)
    model.fit(x[:columns.count], labels)
    return filled(model, model.predict_proba(x[columns.count:]), count)


def lightgbm_classes(columns, labels, count, seed):
    from lightgbm import LGBMClassifier

    x, codes = columns.coded()
    model = LGBMClassifier(min_child_samples=5, min_data_per_group=5, verbose=-1, n_jobs=1, random_state=seed)
    model.fit(x[:columns.count], labels, categorical_feature=codes.tolist())
    return filled(model, model.predict_proba(x[columns.count:]), count)


def catboost_classes(columns, labels, count, seed):
    from catboost import CatBoostClassifier

    shown, asked, named = catboost_columns(columns)
    model = CatBoostClassifier(cat_features=named, iterations=300, thread_count=1, verbose=0, allow_writing_files=False,
                               random_seed=seed, loss_function="MultiClass").fit(shown, labels)
    return filled(model, model.predict_proba(asked), count)


CLASSES = {"frequencies": frequencies, "logistic": logistic, "trees": forest_classes, "boosting": boosting_classes,
           "lightgbm": lightgbm_classes, "catboost": catboost_classes}
