"""Calls of the strategy and its augmenters in a round, and checks of their answers."""

import inspect

import numpy as np

from skdfal import modal
from skdfal._utils._validation import check_values
from skdfal.adapter import cannot_have_a_net
from skdfal.adapter._batches import sees_samples_as_they_are
from skdfal.learner._labeled_set import Extra
from skdfal.learner._samples import conform, length_of, rows_of
from skdfal.learner._view import spilled
from skdfal.strategies import STRATEGIES, describe
from skdfal.strategies._base import innermost

# Parameters of an augmenter that the loop sets, not the user.
_NOT_OF_THE_LOOP = {"estimator", "prefit", "missing_label", "random_state"}
# What the loop passes to a strategy that has a parameter of that name.
_KNOWLEDGE = {"random_state", "pool_indices", "X_labeled", "y_labeled", "X_unlabeled"}
_N_SHOWN = 20  # up to so many numbers of a wrong answer are shown


class Method:
    """A strategy and its augmenters, with the user's parameters for both.

    Parameters
    ----------
    query_strategy, query_params, augmenter, augmenter_params, n_candidates
        As in :class:`LabelingSession`.
    n_classes : int
        Number of classes.
    """

    def __init__(
        self,
        query_strategy,
        query_params,
        augmenter,
        augmenter_params,
        n_candidates,
        n_classes,
    ):
        self.strategy = describe(query_strategy)
        self.n_classes = n_classes
        self.n_candidates = (
            self.strategy.n_candidates if n_candidates == "auto" else n_candidates
        )
        function = self.strategy.function
        signature = inspect.signature(function).parameters
        self._accepted = set(signature) - set(getattr(function, "keywords", {}))
        shared = self._own_augmenter_parameters(augmenter) - set(signature)
        query_params = dict(query_params or {})
        own = {name: query_params.pop(name) for name in shared & query_params.keys()}
        self._parameters = query_params
        self._check_query_params(signature, shared)
        self._check_can_be_asked()
        self.augmenters = self._resolve_augmenters(
            augmenter, own | dict(augmenter_params or {}), augmenter_params
        )

    @property
    def name(self):
        return self.strategy.name

    def check_estimator(self, pool, estimator):
        """Raise before any training if the strategy cannot query this estimator."""
        if self.strategy.needs_net and cannot_have_a_net(estimator):
            raise TypeError(
                f"query_strategy={self.name} needs a network, but estimator is a "
                f"{type(estimator).__name__}. Pass a skorch net, such as one of "
                "make_classifier, or a strategy that needs only probabilities, such as "
                "'margin'."
            )
        smallest, shape = self.strategy.min_image_size, pool.sample_shape
        if not (smallest and shape and sees_samples_as_they_are(estimator)):
            return  # the query itself checks what the network sees in the end
        if len(shape) != 3 or min(shape[1:]) < smallest:
            raise ValueError(
                f"{self.name} needs images of at least {smallest}x{smallest} pixels, "
                "that is, samples of shape (n_channels, height, width); those of X "
                f"have shape {shape}. Resize them, or choose another query_strategy."
            )

    # Querying

    def candidates(self, U_k, n_query, rng):
        """Return S_k, the candidates that the strategy scores."""
        if self.n_candidates is None or self.n_candidates >= len(U_k):
            return U_k
        return rng.choice(U_k, max(self.n_candidates, n_query), replace=False)

    def ask(self, estimator, pool, S_k, n_query, labels, seed):
        """Return Q_k, the ``n_query`` samples of ``S_k`` that the strategy selects."""
        view = pool.view(S_k)
        parameters = self._parameters | self._knowledge(pool, S_k, labels, seed)
        X = view if self._takes_views else _in_hand(view)
        if modal.is_modal_strategy(self.strategy.function):
            X_labeled = np.asarray(pool.take(labels.annotated()))
            learner = modal.as_learner(estimator, X_labeled, labels.codes())
            # The third parameter of a modAL strategy need not be the number.
            found = self.strategy.function(
                learner, X, n_instances=n_query, **parameters
            )
        else:
            found = self.strategy.function(estimator, X, n_query, **parameters)
        found = np.asarray(found[0] if isinstance(found, tuple) else found)
        if (
            found.shape != (n_query,)
            or found.dtype.kind not in "iu"
            or len(np.unique(found)) < n_query
            or not ((found >= 0) & (found < len(S_k))).all()
        ):
            shown = repr(found)
            if found.size > _N_SHOWN:
                shown = f"an array of shape {found.shape} and dtype {found.dtype}"
            raise ValueError(
                f"query_strategy={self.name} returned {shown}; expected {n_query} "
                f"distinct indices in [0, {len(S_k)})."
            )
        return S_k[found]

    def _knowledge(self, pool, S_k, labels, seed):
        """Return what the strategy has parameters for, by name."""
        given = {
            "random_state": lambda: seed,
            "pool_indices": lambda: S_k,
            "X_labeled": lambda: self._annotated(pool, labels),
            "y_labeled": labels.codes,
            "X_unlabeled": lambda: self._unlabeled(pool, labels),
        }
        parameters = {
            name: value()
            for name, value in given.items()
            if name in self._accepted and name not in self._parameters
        }
        of_user = self._parameters.get("X_labeled")
        if isinstance(of_user, str) and of_user == "annotated":
            parameters["X_labeled"] = given["X_labeled"]()
        elif isinstance(of_user, str) and of_user == "train":
            training = labels.training_set()
            parameters["X_labeled"] = training.gather(pool, labels.extras)
            if "y_labeled" in parameters:
                parameters["y_labeled"] = training.y
        return parameters

    def _annotated(self, pool, labels):
        view = pool.view(labels.annotated())
        is_read = self._takes_views and not pool.is_in_memory
        return view if is_read else view[:]

    def _unlabeled(self, pool, labels):
        view = pool.view(labels.unlabeled())
        return view if self._takes_views else _in_hand(view)

    @property
    def _takes_views(self):
        function = innermost(self.strategy.function)
        return any(function is known for known in STRATEGIES.values())

    # Augmenting

    def augment(self, estimator, pool, labels, n_rounds, rng):
        """Return the extras made from the samples told since the last training."""
        Q_k = labels.told_since(n_rounds)
        if not len(Q_k):
            return []
        rest = labels.unlabeled()
        extras = []
        for augmenter in self.augmenters:  # Q_k = {x_j} ∪ {x_j + r_j}
            uses_pool = getattr(augmenter, "uses_pool", True)
            seen = rest if uses_pool else rest[:0]
            if uses_pool == "candidates":  # as many as the query scores
                seen = self.candidates(rest, 0, rng)
            x_j = labels.annotated() if getattr(augmenter, "renews", False) else Q_k
            X = pool.take(x_j)
            sources = {i: labels.told[i].code for i in x_j.tolist()}
            y = np.array(list(sources.values()))
            answer = augmenter.augment(estimator, X, y, pool.view(seen), n_rounds - 1)
            X_new, y_new, parents = self._checked(augmenter, answer, X, len(y))
            if parents is not None:
                parents = np.where(parents < 0, -1, x_j[parents])
            is_lasting = bool(augmenter.is_lasting)
            X_new = spilled(X_new, pool)
            extras.append(Extra(n_rounds, is_lasting, X_new, y_new, parents, sources))
        return extras

    def _checked(self, augmenter, answer, X, n_samples):
        """Return the samples, codes and parents of an augmenter if they are valid."""
        name = type(augmenter).__name__
        if not isinstance(answer, tuple | list) or len(answer) not in (2, 3):
            raise ValueError(
                f"{name}.augment should return samples, labels and, optionally, "
                f"parents; got {answer!r}."
            )
        X_new, y_new, parents = (*answer, None)[:3]
        y_new = np.asarray(y_new)
        try:
            n_new = len(y_new) if y_new.ndim == 1 else -1
            X_new = conform(X_new, X) if n_new else rows_of(X, np.arange(0))
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise ValueError(
                f"{name}.augment returned samples that cannot be trained on: {exc}."
            ) from exc
        found = length_of(X_new)
        if not np.isin(y_new, range(self.n_classes)).all() or found != n_new:
            raise ValueError(
                f"{name}.augment returned {found} samples and labels "
                f"{y_new!r}; expected one label per sample in [0, {self.n_classes}), "
                "as codes into classes_."
            )
        if parents is not None:
            parents = np.asarray(parents)
            if parents.shape != y_new.shape or not np.isin(
                parents, range(-1, n_samples)
            ).all():  # fmt: skip
                raise ValueError(
                    f"{name}.augment returned parents {parents!r}; expected one "
                    f"position in [0, {n_samples}), or -1, for each of the {n_new} "
                    "samples."
                )
            parents = parents.astype(int)
        return X_new, y_new.astype(int), parents

    # Validation

    def _own_augmenter_parameters(self, augmenter):
        """Return the parameter names of the strategy's own augmenter."""
        if augmenter is not None or self.strategy.augmenter is None:
            return set()
        names = set(self.strategy.augmenter().get_params(deep=False))
        return names - _NOT_OF_THE_LOOP

    def _check_can_be_asked(self):
        """Raise if the loop could not call a user-defined strategy."""
        function = self.strategy.function
        signature = inspect.signature(function)
        named = self._parameters.keys() | (_KNOWLEDGE & self._accepted)
        by_position = ["estimator", "X", "n_instances"]
        if modal.is_modal_strategy(function):
            named.add(by_position.pop())
        try:
            signature.bind(*by_position, **dict.fromkeys(named))
        except TypeError as exc:
            raise TypeError(
                f"query_strategy={self.name} should take (estimator, X, n_instances), "
                f"but its signature is {signature}: {exc}. Other parameters need a "
                "default or a value in query_params."
            ) from exc

    def _check_query_params(self, signature, shared):
        asked = {*list(signature)[:2], "n_instances"} & self._parameters.keys()
        if asked:
            raise ValueError(
                f"query_params has {', '.join(map(repr, sorted(asked)))}, but the loop "
                "itself passes this to a strategy. Leave it out."
            )
        samples = self._parameters.get("X_labeled")
        if isinstance(samples, str) and samples not in ("annotated", "train"):
            raise ValueError(
                f"query_params has X_labeled={samples!r}; expected 'annotated', "
                "'train' or an array of samples."
            )
        if any(p.kind is p.VAR_KEYWORD for p in signature.values()):
            return
        unknown = sorted(set(self._parameters) - set(signature), key=str)
        if unknown:
            known = ", ".join([*list(signature)[3:], *sorted(shared)]) or "none"
            raise ValueError(
                f"query_params has {', '.join(map(repr, unknown))}, but {self.name} "
                f"takes {known}."
            )
        check_values(innermost(self.strategy.function), self._parameters)

    def _resolve_augmenters(self, augmenter, own, augmenter_params):
        if augmenter is None and self.strategy.augmenter is not None:
            names = self._own_augmenter_parameters(augmenter)
            unknown = sorted(set(own) - names, key=str)
            if unknown:
                raise ValueError(
                    f"augmenter_params has {', '.join(map(repr, unknown))}, but "
                    f"{self.strategy.augmenter.__name__} takes "
                    f"{', '.join(sorted(names))}."
                )
            brought = self.strategy.augmenter(**own)
            brought._validate_params()
            return [brought]
        if augmenter_params:
            raise ValueError(
                f"augmenter_params={augmenter_params!r} are for a strategy's own "
                f"augmenter, but {self.name} has none, or augmenter replaces it. Set "
                "them on the augmenter that you pass."
            )
        if augmenter is None:
            return []
        augmenters = (
            list(augmenter) if isinstance(augmenter, list | tuple) else [augmenter]
        )
        for one in augmenters:
            is_one = hasattr(one, "augment") and hasattr(one, "is_lasting")
            if isinstance(one, type) or not is_one:
                raise TypeError(
                    f"augmenter={one!r} should be an object with 'augment' and "
                    "'is_lasting', such as AdversarialAugmenter()."
                )
        return augmenters


def _in_hand(view):
    """Return the samples of a view as an array if they are in memory anyway."""
    return view.take(np.arange(len(view))) if view.is_in_memory else view
