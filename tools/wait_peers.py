"""What else a user could wait for: `wait_peers.py HOW TASK` does a task once and prints its processor seconds.

Rows are read and libraries imported before the clock starts. Each fits its parameters, as a user would have it do, and
draws joint paths.
"""

import csv
import inspect
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")


def read(task):
    """x and y of every group of the file, x in rows where it is no number."""
    groups = {}
    with open(task["rows"], newline="") as file:
        for line in csv.DictReader(file):
            x, y = (line[column] for column in task["columns"])
            own = groups.setdefault(line[task["group"]] if "group" in task else "", ([], []))
            try:
                own[0].append(float(x))
            except ValueError:
                own[0].append(float(len(own[0])))
            own[1].append(float(y))
    return list(groups.values())


def asked(task, x):
    return task["at"] if "at" in task else [x[-1] + i for i in range(1, task["ahead"] + 1)]


def fitted(x, y, restarts=0):
    """Matérn-5/2 with a length-scale and noise by maximum likelihood, on standardised rows."""
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    x, y = np.array(x)[:, None], np.array(y)
    kernel = ConstantKernel(1.0) * Matern(length_scale=x.std(), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=restarts, random_state=0).fit(x, y)


def process(task):
    import numpy as np
    import sklearn.gaussian_process  # noqa: F401
    groups = read(task)
    yield
    for x, y in groups:
        fitted(x, y, task.get("restarts", 0)).sample_y(np.array(asked(task, x))[:, None], task["paths"], random_state=0)


def held_out(task):
    import numpy as np
    import sklearn.gaussian_process  # noqa: F401
    from scipy import stats
    x, y = (np.array(column) for column in read(task)[0])
    yield
    for repetition in range(task["repetitions"]):
        rows = np.random.default_rng(repetition).permutation(len(x))
        held, shown = rows[:task["holdout"]], np.sort(rows[task["holdout"]:])
        mean, deviation = fitted(x[shown], y[shown]).predict(x[held][:, None], return_std=True)
        stats.norm.logpdf(y[held], mean, deviation).mean()


def structural(task):
    import numpy as np
    from statsmodels.tsa.statespace.structural import UnobservedComponents
    x, y = read(task)[0]
    yield
    model = UnobservedComponents(
        np.array(y), "local linear trend",
        freq_seasonal=[{"period": task["season"], "harmonics": min(task["season"] // 2, 4)}])
    fit = model.fit(disp=False, maxiter=50)
    # Since version 0.15 the generator has another name.
    name = "rng" if "rng" in inspect.signature(fit.simulate).parameters else "random_state"
    fit.simulate(task["ahead"], anchor="end", repetitions=task["paths"], **{name: np.random.default_rng(0)})


def gpytorch(task):
    import gpytorch
    import torch
    torch.set_num_threads(1)
    x, y = (torch.tensor(column, dtype=torch.float64) for column in read(task)[0])
    at = torch.tensor(asked(task, x.tolist()), dtype=torch.float64)

    class Process(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(2.5))

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    yield
    centre, scale = x.mean(), x.std()
    x, at, y = (x - centre) / scale, (at - centre) / scale, (y - y.mean()) / y.std()
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Process(x, y, likelihood).double()
    likelihood.double()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    evidence = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    model.train(), likelihood.train()
    for _ in range(50):
        optimiser.zero_grad()
        (-evidence(model(x), y)).backward()
        optimiser.step()
    model.eval(), likelihood.eval()
    with torch.no_grad():
        likelihood(model(at)).sample(torch.Size([task["paths"]]))


if __name__ == "__main__":
    work = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    next(work)
    start = time.process_time()
    for _ in work:
        pass
    print(time.process_time() - start)
