"""The scikit-learn face: any model by name as a density estimator, for pipelines, cross-validation and searches."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from hexad.checks import InputError
from hexad.data import Data, load_data, permutation
from hexad.data.forms.memory import is_frame, to_pandas
from hexad.data.splits import take
from hexad.fitted import plan
from hexad.likelihood import LikelihoodKind, LogLikelihood
from hexad.recipes import recipe_of

__all__ = ["Estimator"]

FEWEST = 10  # nine rows to train and one to choose


class Estimator(DensityMixin, BaseEstimator):
    """A model of Hexad that follows scikit-learn's conventions.

    Rows are independent records, so models of series are refused. A tenth of the rows given to :meth:`fit`, chosen by
    their number alone, picks the best checkpoint and does not train.

    Args:
        model: a name from ``hexad.models()``.
        time, steps: the budget, one of them; neither is 60 s.
        random_state: of initialisation, data order and noise: a seed, a ``RandomState``, or None for fresh entropy. A
            seed is the ``seed`` of ``hexad.fit``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        options: of the model and of the loop, by name: ``{"hidden": [64, 64], "lr": 1e-3}``.
        data: how records are read, as for ``load_data``: ``{"levels": 17}``, ``{"step": 0}``. Left out, it is found on
            the rows that train.
        progress: whether to show progress on standard error.

    Attributes:
        fitted_: the :class:`~hexad.fitted.Fitted`, with everything else that the model can do.
        n_features_in_: number of columns.
        feature_names_in_: their names, where ``fit`` was given a frame whose columns have names.

    >>> import numpy as np, hexad
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> estimator = hexad.Estimator("gaussian").fit(X)
    >>> estimator.sample(2, random_state=0).shape, estimator.score_samples(X).shape
    ((2, 3), (200,))
    >>> estimator.likelihood_kind_
    'exact'
    """

    def __init__(
        self,
        model: str = "realnvp",
        *,
        time: str | float | None = None,
        steps: int | None = None,
        random_state: Any = 0,
        device: str = "auto",
        options: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.time = time
        self.steps = steps
        self.random_state = random_state
        self.device = device
        self.options = options
        self.data = data
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the model on records.

        Args:
            X: an array or a frame, (n, columns), at least 10 rows.
            y: ignored.

        Raises:
            InputError: an argument is wrong, or the model cannot take the records.
            ValueError: X is no table of finite numbers.
        """
        if recipe_of(self.model).layouts == ("series",):
            raise InputError(f"{self.model} is a model of series, an estimator's rows have no order; use hexad.fit")
        X = self._validated(X, reset=True)
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31)
        run = plan(
            self.model,
            self._split(X),
            time=self.time,
            steps=self.steps,
            seed=int(seed),
            device=self.device,
            options=self.options,
        )
        self.fitted_ = run.train(self.progress)
        self._record = take(X, slice(1))
        return self

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Return samples, (n_samples, columns), one array in the units of the X that was fitted, also where it was a
        frame; ``fitted_.sample`` gives a frame.

        Args:
            n_samples: how many.
            random_state: a seed or a ``RandomState``; None is fresh entropy.
        """
        check_is_fitted(self)
        seed = random_state
        if seed is not None and not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31)
        return np.asarray(self.fitted_.sample(n_samples, seed=seed))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return what the model guarantees of each record's log-likelihood in nats, (n,): the exact value, a lower
        bound, the low end of an interval; :attr:`likelihood_kind_` says which.

        It is the log of a mass for records on grids, of a density otherwise. Where draws enter they are the same in
        every call.

        Raises:
            InputError: the model has no likelihood, as a GAN (the reason is given), or X is not like the records that
                were fitted.
        """
        check_is_fitted(self)
        stated = self.fitted_.log_likelihood(self._validated(X, reset=False))
        return (stated.ends[0] if stated.kind == "interval" else stated.value).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of :meth:`score_samples`: higher is better."""
        return float(self.score_samples(X).mean())

    @property
    def likelihood_kind_(self) -> LikelihoodKind | None:
        """What :meth:`score_samples` gives: ``exact``, ``lower_bound``, ``interval``, ...; None: no likelihood."""
        check_is_fitted(self)
        stated: LogLikelihood | None = self.fitted_.try_log_likelihood(self.fitted_.format.encode(self._record))
        return None if stated is None else stated.kind

    def _validated(self, X: Any, reset: bool) -> Any:
        """Return X as scikit-learn takes it, an array; a frame stays one, as its columns are read by other rules."""
        array = validate_data(self, X, reset=reset, ensure_min_samples=FEWEST if reset else 1)
        return to_pandas(X) if is_frame(X) else array

    def _split(self, X: Any) -> Data:
        """Return nine tenths to train and one to choose. Data hold a test split, at which nothing here looks: an
        estimator is judged on rows that ``fit`` never sees.
        """
        rows = permutation(len(X))
        valid = len(X) // 10
        parts = {"train": take(X, rows[:-valid]), "valid": take(X, rows[-valid:]), "test": X}
        return load_data(parts, **{"layout": "vector", **(self.data or {})})
