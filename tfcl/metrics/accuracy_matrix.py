"""Continual-learning metrics of an accuracy matrix, as pure NumPy functions.

`R` is the accuracy matrix everywhere: `R[i, j]` is the test accuracy (fraction
0-1) on task j right after training task i, NaN where not evaluated, tasks in
training order. Its shape is `(k, T)`: k tasks of the T in the stream are
learned, and every metric speaks of these k alone, so `metric(R[:k])` is the
metric after k tasks. Formulas count from 1 and write T for the learned tasks.

Other arguments hold one number per task, for the k learned or all T tasks:
    initial: b[j], accuracy of the freshly initialised model on task j.
    single_task: S[j], accuracy of an own network trained only on task j.
    joint: J[j], accuracy on task j of a model trained jointly on tasks 1..j.
    test_sizes: n[j], number of test examples of task j.
    parameters: P[i], number of stored parameters after task i.

Results are NaN, never 0, where undefined. No function modifies its input. All
raise ValueError for an accuracy outside [0, 1] and a missing R[i, j], j <= i.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

# Raised whenever a formula below changes; stored beside the numbers.
METRICS_VERSION = 1

# 0.975 quantiles of Student's t distribution for 1..30 degrees of freedom.
_T_QUANTILES = (
    *(12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912),
    *(2.364624, 2.306004, 2.262157, 2.228139, 2.200985, 2.178813),
    *(2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922),
    *(2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899),
    *(2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272),
)


def checked(R: ArrayLike, min_rows: int = 0, gaps: bool = False) -> np.ndarray:
    """A float64 copy of `R`, shape `(k, T)`; ValueError unless it is right.

    With `gaps`, accuracies on learned tasks may be missing.
    """
    matrix = np.array(R, dtype=np.float64)
    if matrix.ndim != 2 or not min_rows <= len(matrix) <= matrix.shape[1]:
        raise ValueError(
            f"Argument `R` must have a column per task and {min_rows} to T "
            f"rows, one per learned task. Received: shape={matrix.shape}"
        )
    for i, j in np.argwhere((matrix < 0) | (matrix > 1)):
        raise ValueError(
            "Argument `R` must hold fractions in [0, 1] (divide percentages by "
            f"100). Received: R[{i}, {j}]={matrix[i, j]}"
        )
    missing = np.argwhere(np.tril(np.isnan(matrix)))
    for i, j in () if gaps else missing:
        raise ValueError(
            f"Argument `R` lacks (i, j) = ({i + 1}, {j + 1}), the accuracy on "
            "a task already learned; evaluate it, or pass only the complete "
            f"rows. Received: R[{i}, {j}]=nan"
        )
    return matrix


def _learned(R: ArrayLike) -> np.ndarray:
    """Returns the checked matrix of the learned tasks, shape `(k, k)`."""
    return (matrix := checked(R, min_rows=1))[:, : len(matrix)]


def _per_task(name: str, values: ArrayLike, R: ArrayLike) -> np.ndarray:
    """Returns the values of the learned tasks as float64, shape `(k,)`."""
    k, total = checked(R, min_rows=1).shape
    vector = np.array(values, dtype=np.float64)
    if vector.shape not in ((k,), (total,)):
        raise ValueError(
            f"Argument `{name}` must have one number for each of the {k} "
            f"learned or all {total} tasks. Received: shape={vector.shape}"
        )
    return vector[:k]


def _require(valid: np.ndarray, rule: str, name: str, values: object):
    if np.ndim(valid) != 1 or not len(valid) or not np.all(valid):
        raise ValueError(
            f"Argument `{name}` must hold {rule}. Received: {name}={values}"
        )


def _accuracies(name: str, values: ArrayLike, R: ArrayLike) -> np.ndarray:
    vector = _per_task(name, values, R)
    valid = (vector >= 0) & (vector <= 1)
    _require(valid, "fractions in [0, 1]", name, values)
    return vector


def _sizes(name: str, values: ArrayLike) -> np.ndarray:
    vector = np.array(values, dtype=np.float64)
    valid = (vector > 0) & (vector < math.inf)
    _require(valid, "positive finite numbers", name, values)
    return vector


def _mean(values: np.ndarray | Sequence[float]) -> float:
    """Unweighted mean; NaN for no values."""
    return float(np.mean(values)) if np.size(values) else math.nan


def average_accuracy(R: ArrayLike) -> float:
    """ACC = A_T = 1/T sum_j R[T, j]. Lopez-Paz & Ranzato, NeurIPS 2017."""
    return _mean(_learned(R)[-1])


def average_accuracy_curve(R: ArrayLike) -> np.ndarray:
    """A_k = 1/k sum_{j<=k} R[k, j] for k = 1..T. Chaudhry et al., ECCV 2018."""
    return np.array([_mean(r[: k + 1]) for k, r in enumerate(_learned(R))])


def average_incremental_accuracy(R: ArrayLike) -> float:
    """AIA = 1/T sum_k A_k. Rebuffi et al., CVPR 2017 (iCaRL)."""
    return _mean(average_accuracy_curve(R))


def micro_average(R: ArrayLike, test_sizes: ArrayLike) -> float:
    """sum_j n[j] R[T, j] / sum_j n[j], n: `test_sizes`. SPG, ICML 2023."""
    n = _sizes("test_sizes", _per_task("test_sizes", test_sizes, R))
    return float(n @ _learned(R)[-1] / n.sum())


def backward_transfer(R: ArrayLike) -> float:
    """BWT = 1/(T-1) sum_{j<T} (R[T, j] - R[j, j]); NaN if T = 1.

    Lopez-Paz & Ranzato, NeurIPS 2017 (GEM). Negative: accuracy was lost.
    """
    R = _learned(R)
    return _mean((R[-1] - np.diag(R))[:-1])


def forgetting_per_task(R: ArrayLike) -> np.ndarray:
    """f[j] = max_{j<=l<T} R[l, j] - R[T, j] for j < T, shape `(T-1,)`.

    Chaudhry et al., ECCV 2018. Negative where learning task T helped task j.
    """
    R = _learned(R)
    best = [R[j:-1, j].max() for j in range(len(R) - 1)]
    return np.array(best) - R[-1, :-1]


def forgetting(R: ArrayLike) -> float:
    """F_T = 1/(T-1) sum_{j<T} f[j]; f, source: see `forgetting_per_task`."""
    return _mean(forgetting_per_task(R))


def forgetting_curve(R: ArrayLike) -> np.ndarray:
    """F_k for k = 1..T, F_1 is NaN. Chaudhry et al., ECCV 2018."""
    R = _learned(R)
    return np.array([forgetting(R[: k + 1]) for k in range(len(R))])


def forward_transfer(R: ArrayLike, initial: ArrayLike) -> float:
    """FWT = 1/(T-1) sum_{j>=2} (R[j-1, j] - b[j]), b: `initial`.

    Lopez-Paz & Ranzato, NeurIPS 2017. NaN if T = 1 or no R[j-1, j] is given.
    """
    b = _accuracies("initial", initial, R)
    return _mean(np.diag(_learned(R), 1) - b[1:])


def gain_over_single_task(R: ArrayLike, single_task: ArrayLike) -> float:
    """1/T sum_j (R[j, j] - S[j]), S: `single_task`; gain while learning.

    "Forward transfer" in task-incremental papers with individual runs.
    """
    S = _accuracies("single_task", single_task, R)
    return _mean(np.diag(_learned(R)) - S)


def final_gap_to_single_task(R: ArrayLike, single_task: ArrayLike) -> float:
    """1/T sum_j (R[T, j] - S[j]); papers as for `gain_over_single_task`."""
    S = _accuracies("single_task", single_task, R)
    return _mean(_learned(R)[-1] - S)


def learning_accuracy(R: ArrayLike) -> float:
    """LA = 1/T sum_j R[j, j] (plasticity). Riemer et al., ICLR 2019 (MER)."""
    return _mean(np.diag(_learned(R)))


def intransigence_per_task(R: ArrayLike, joint: ArrayLike) -> np.ndarray:
    """I_k = J[k] - R[k, k], J: `joint`, k = 1..T. Chaudhry, ECCV 2018."""
    return _accuracies("joint", joint, R) - np.diag(_learned(R))


def intransigence(R: ArrayLike, joint: ArrayLike) -> float:
    """1/T sum_k I_k (`intransigence_per_task`). Chaudhry et al., ECCV 2018."""
    return _mean(intransigence_per_task(R, joint))


def intransigence_last(R: ArrayLike, joint: ArrayLike) -> float:
    """I_T (`intransigence_per_task`). Chaudhry et al., ECCV 2018."""
    return float(intransigence_per_task(R, joint)[-1])


def _ratio_to(R: np.ndarray, reference: np.ndarray) -> float:
    return _mean(R[-1] / reference) if reference.all() else math.nan


def retention_ratio(R: ArrayLike) -> float:
    """1/T sum_j R[T, j] / R[j, j], NaN if one is 0. DF-CNN, IJCAI 2019."""
    R = _learned(R)
    return _ratio_to(R, np.diag(R))


def retention_ratio_peak(R: ArrayLike) -> float:
    """1/T sum_j R[T, j] / max_{l>=j} R[l, j]; else as `retention_ratio`."""
    R = _learned(R)
    return _ratio_to(R, np.tril(R).max(axis=0))


def min_accuracy(R: ArrayLike) -> float:
    """minACC = 1/(T-1) sum_{j<T} min_{i>j} R[i, j]; NaN if T = 1.

    De Lange et al., ICLR 2023; here at task ends, not every few steps.
    """
    R = _learned(R)
    return _mean([R[j + 1 :, j].min() for j in range(len(R) - 1)])


def worst_case(R: ArrayLike) -> float:
    """WC = 1/T R[T, T] + (1 - 1/T) minACC. De Lange et al., ICLR 2023."""
    R = _learned(R)
    # One mean: minACC, undefined if T = 1, has weight 0 there.
    return _mean([R[j + 1 :, j].min() for j in range(len(R) - 1)] + [R[-1, -1]])


def triangle_accuracy(R: ArrayLike) -> float:
    """A = sum_{i>=j} R[i, j] / (T(T+1)/2). Diaz-Rodriguez et al., 2018."""
    R = _learned(R)
    return _mean(R[np.tril_indices(len(R))])


def backward_transfer_all(R: ArrayLike) -> float:
    """BWTall = mean_{j<i} (R[i, j] - R[j, j]). Diaz-Rodriguez et al., 2018."""
    R = _learned(R)
    return _mean((R - np.diag(R))[np.tril_indices(len(R), -1)])


def rem(R: ArrayLike) -> float:
    """REM = 1 - abs(min(BWTall, 0)). Diaz-Rodriguez et al., 2018."""
    return float(1 + np.minimum(backward_transfer_all(R), 0))


def forward_transfer_all(R: ArrayLike) -> float:
    """FWTall = sum_{i<j} R[i, j] / (T(T-1)/2), without b.

    Diaz-Rodriguez et al., 2018. NaN if T = 1 or a future task is missing.
    """
    R = _learned(R)
    return _mean(R[np.triu_indices(len(R), 1)])


def model_size_efficiency(parameters: ArrayLike) -> float:
    """min(1, 1/T sum_i P[1]/P[i]), P: `parameters`. Diaz-Rodriguez, 2018."""
    P = _sizes("parameters", parameters)
    return min(1.0, _mean(P[0] / P))


def parameter_growth(parameters: ArrayLike) -> float:
    """P[T] / P[1], reported beside `model_size_efficiency`."""
    P = _sizes("parameters", parameters)
    return float(P[-1] / P[0])


_OF_MATRIX = (
    *(average_accuracy, average_accuracy_curve, average_incremental_accuracy),
    *(backward_transfer, forgetting, forgetting_per_task, forgetting_curve),
    *(learning_accuracy, retention_ratio, retention_ratio_peak, min_accuracy),
    *(worst_case, triangle_accuracy, backward_transfer_all, rem),
    forward_transfer_all,
)
_OF_MATRIX_AND = {
    "initial": (forward_transfer,),
    "single_task": (gain_over_single_task, final_gap_to_single_task),
    "joint": (intransigence, intransigence_last, intransigence_per_task),
    "test_sizes": (micro_average,),
}
_OF_PARAMETERS = (model_size_efficiency, parameter_growth)
_NEED_TWO_TASKS = ("backward", "forgetting", "forward", "min_", "rem")


def _reason(name: str, R: np.ndarray, missing: str | None) -> str:
    """Why the metric `name` of the learned tasks is undefined."""
    if len(R) == 1 and name.startswith(_NEED_TWO_TASKS):
        return "only one task has been learned"
    causes = [f"`{missing}` was not given"] if missing else []
    cells = np.diag(R, 1) if name == "forward_transfer" else R
    if name.startswith("forward") and np.isnan(cells).any():
        causes.insert(0, "future tasks were not evaluated")
    return " and ".join(causes) or "an accuracy to divide by is 0"


def summarise(
    R: ArrayLike,
    initial: ArrayLike | None = None,
    single_task: ArrayLike | None = None,
    joint: ArrayLike | None = None,
    test_sizes: ArrayLike | None = None,
    parameters: ArrayLike | None = None,
) -> dict[str, float | list | dict[str, str] | None]:
    """Returns every metric by its function's name, ready for JSON.

    Per-task metrics and curves are lists. Undefined numbers are None, and
    `"undefined"` maps their metric to the reason, one sentence. Arguments:
    see the module docstring.
    """
    given = {"initial": initial, "single_task": single_task}
    given |= {"joint": joint, "test_sizes": test_sizes}
    learned = _learned(R)
    calls: list[tuple[Callable, tuple, str | None]]
    calls = [(metric, (R,), None) for metric in _OF_MATRIX]
    for name, metrics in _OF_MATRIX_AND.items():
        calls += [(m, (R, given[name]), name) for m in metrics]
    if parameters is not None:
        parameters = _per_task("parameters", parameters, R)
    calls += [(m, (parameters,), "parameters") for m in _OF_PARAMETERS]
    summary, undefined = {}, {}
    for metric, arguments, needs in calls:
        missing = needs if arguments[-1] is None else None
        value = np.asarray(math.nan if missing else metric(*arguments))
        name, defined = metric.__name__, ~np.isnan(value)
        summary[name] = np.where(defined, value, np.array(None)).tolist()
        if not defined.any():
            summary[name] = None
            undefined[name] = _reason(name, learned, missing)
    return {**summary, "undefined": undefined}


def all_undefined(reason: str) -> dict[str, None | dict[str, str]]:
    """What `summarise` would return if no metric were defined.

    Args:
        reason: One sentence.
    """
    further = (m for metrics in _OF_MATRIX_AND.values() for m in metrics)
    names = [m.__name__ for m in (*_OF_MATRIX, *further, *_OF_PARAMETERS)]
    return {
        **dict.fromkeys(names),
        "undefined": dict.fromkeys(names, reason),
    }


def at_last_visits(
    R: ArrayLike, visits: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """R of a stream in which tasks come again, as a matrix of its tasks.

    A task counts from its last visit on: rows and columns are the learned
    tasks in the order of their last visits, so that the diagonal holds the
    accuracy right after it and every metric keeps its meaning.

    Args:
        R: `(visits, T)`; row i holds all tasks seen so far.
        visits: Index of the task of each visit, `(visits,)`.

    Returns:
        The matrix, and the index of the task of each row and column. Without
        a repeat it is R with all its columns.
    """
    matrix = np.array(R, dtype=np.float64)
    visits = np.array(visits, dtype=int)
    if matrix.ndim != 2 or visits.shape != matrix.shape[:1]:
        raise ValueError(
            "Argument `visits` must name a task for each row of R. Received: "
            f"{len(visits)} visits, R of shape {matrix.shape}"
        )
    if len(set(visits.tolist())) == len(visits):
        return matrix, np.arange(matrix.shape[1])
    last = {task: row for row, task in enumerate(visits.tolist())}
    order = np.array(sorted(last, key=last.__getitem__))
    rows = [last[task] for task in order.tolist()]
    return matrix[rows][:, order], order


def over_seeds(values: ArrayLike) -> dict[str, float]:
    """Mean, sample standard deviation and 95 % interval of one metric.

    half_width = t(0.975, N-1) std / sqrt(N), std with N-1 in the denominator;
    1.96 replaces t for N > 31. Both are NaN for a single seed. `values`: one
    finite number per seed, shape `(N,)`.
    """
    vector = np.array(values, dtype=np.float64)
    _require(np.isfinite(vector), "a finite number per seed", "values", values)
    N = len(vector)
    std = float(vector.std(ddof=1)) if N > 1 else math.nan
    t = _T_QUANTILES[N - 2] if 2 <= N <= 31 else 1.96
    half_width = t * std / math.sqrt(N)
    return {"mean": _mean(vector), "std": std, "half_width": half_width}
