"""Compare two networks on the same samples: figures of the paper's supplement."""

from pathlib import Path

import numpy as np
import torch

from skdfal._utils._files import replacing
from skdfal._utils._seeds import seeded
from skdfal.adapter._training import fit_encoded
from skdfal.analysis import (
    ConfidenceAgreement,
    RegionAgreement,
    confidence_agreement,
    region_agreement,
)
from skdfal.experiment import derive_seed, load_data
from skdfal.experiment._jobs import run_jobs
from skdfal.experiment._trial import samples_to_score


class TwoNets:
    """Two networks of different architectures, trained on the same random samples.

    Parameters
    ----------
    protocols : sequence of two Protocol
        One protocol per network.
    n_labeled : int
        Number of samples to train on.
    n_trials : int
        Number of pairs of networks; each pair has its own samples.
    seed, device : int, str
        As for :func:`run_experiment`.
    out_dir : path-like
        Folder for the results, used for nothing else.
    **processes : dict
        ``n_jobs``, ``n_threads`` and ``verbose`` of :func:`run_experiment`.
    """

    def __init__(
        self,
        protocols,
        n_labeled,
        n_trials,
        *,
        seed=0,
        out_dir,
        device="cpu",
        **processes,
    ):
        self.protocols, self.n_labeled, self.n_trials = protocols, n_labeled, n_trials
        self.seed, self.device, self.processes = seed, device, processes
        self.out_dir = Path(out_dir)

    def train(self):
        """Train the networks that are missing, and return the test accuracies.

        Returns
        -------
        scores : dict of str to list of float
            For each network, one accuracy per trial.
        """
        jobs = {
            f"{protocol.net}-{trial}": (_train, (self, protocol, trial))
            for trial in range(self.n_trials)
            for protocol in self.protocols
        }
        found = self._run("nets", {}, jobs)
        return {
            p.net: [found[f"{p.net}-{t}"]["score"] for t in range(self.n_trials)]
            for p in self.protocols
        }

    def confidences(self, n_draws):
        """Compare confidences on the test set, without and with a dropout committee.

        Parameters
        ----------
        n_draws : int
            Size of the dropout committee.

        Returns
        -------
        agreements : list of dict of str to ConfidenceAgreement
            For each trial, the agreements "deterministic" and "dropout".
        """
        jobs = {
            str(trial): (_confidences, (self, trial, n_draws))
            for trial in range(self.n_trials)
        }
        found = self._run("confidence", {"n_draws": n_draws}, jobs)
        return [
            {
                kind: ConfidenceAgreement(
                    np.array(result[kind]["a"]),
                    np.array(result[kind]["b"]),
                    result[kind]["correlation"],
                )
                for kind in ("deterministic", "dropout")
            }
            for result in found.values()
        ]

    def regions(self, n_samples, **parameters):
        """Find the test samples that both networks have in the same region.

        Parameters
        ----------
        n_samples : int
            Number of test samples to use.
        **parameters : dict
            Parameters of :func:`skdfal.analysis.region_agreement`.

        Returns
        -------
        agreements : list of RegionAgreement
            One per trial.
        """
        jobs = {
            str(trial): (_regions, (self, trial, n_samples, parameters))
            for trial in range(self.n_trials)
        }
        found = self._run("regions", {"n_samples": n_samples, **parameters}, jobs)
        return [
            RegionAgreement(*(np.array(result[f]) for f in RegionAgreement._fields))
            for result in found.values()
        ]

    def test_samples(self):
        """Return the test samples, in the order of the results, and their labels."""
        protocol = self.protocols[0]
        return samples_to_score(protocol, load_data(protocol), self.seed)

    def _run(self, what, settings, jobs):
        settings = {
            "nets": [protocol.settings() for protocol in self.protocols],
            "n_labeled": self.n_labeled,
            "seed": self.seed,
            "device": self.device,
            "n_threads": self.processes.get("n_threads", 1),
            **settings,
        }
        return run_jobs(
            self.out_dir / what, settings, jobs, what=what, **self.processes
        )

    def labeled(self, trial):
        """Return the training samples of a trial, with labels."""
        protocol = self.protocols[0]
        data = load_data(protocol)
        names = (self.seed, protocol.dataset, trial, "two nets")
        rng = np.random.RandomState(derive_seed(*names))
        chosen = rng.permutation(len(data.X_train))[: self.n_labeled]
        return data.X_train[chosen], data.y_train[chosen]

    def weights(self, protocol, trial):
        """Return the file of a trained net."""
        return self.out_dir / "nets" / "trials" / f"{protocol.net}-{trial}.pt"

    def load(self, trial):
        """Return the two trained nets of a trial."""
        nets = []
        for protocol in self.protocols:
            net = protocol.make_net(load_data(protocol), self.device).initialize()
            path = self.weights(protocol, trial)
            weights = torch.load(path, map_location=self.device, weights_only=True)
            net.module_.load_state_dict(weights)
            nets.append(net)
        return nets


def _train(two, protocol, trial):
    X, y = two.labeled(trial)
    net = protocol.make_net(load_data(protocol), two.device)
    names = (two.seed, protocol.dataset, protocol.net, trial, "two nets")
    with seeded(derive_seed(*names)):
        fit_encoded(net, X, y)
    with replacing(two.weights(protocol, trial)) as file:
        torch.save(net.module_.state_dict(), file)
    X_test, y_test = two.test_samples()
    return {"score": float((net.predict(X_test) == y_test).mean())}


def _confidences(two, trial, n_draws):
    nets = two.load(trial)
    X, _ = two.test_samples()
    seed = derive_seed(two.seed, two.protocols[0].dataset, trial, "dropout")
    found = {
        "deterministic": confidence_agreement(*nets, X),
        "dropout": confidence_agreement(*nets, X, n_draws=n_draws, random_state=seed),
    }
    return {
        kind: {
            "a": result.confidence_a.tolist(),
            "b": result.confidence_b.tolist(),
            "correlation": float(result.correlation),
        }
        for kind, result in found.items()
    }


def _regions(two, trial, n_samples, parameters):
    nets = two.load(trial)
    X, _ = two.test_samples()
    anchors, _ = two.labeled(trial)
    found = region_agreement(*nets, X[:n_samples], anchors, **parameters)
    return {name: value.tolist() for name, value in found._asdict().items()}
