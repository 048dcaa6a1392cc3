"""
2. What DeepFool does
=====================

DFAL queries the images nearest to the decision boundary. Nobody can draw the boundary
of a network in the space of images, let alone measure the distance to it. DeepFool [1]_
walks to the boundary in a few steps instead. What we will see first is its walk from
one handwritten digit. Then, in two dimensions, where the boundary can be drawn, we
compare the length of the walk with the true distance. The last figure shows the idea of
Figure 1 of the DFAL paper [2]_ on a toy problem of our own.

.. [1] S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: a simple and accurate
   method to fool deep neural networks", CVPR 2016,
   `arXiv:1511.04599 <https://arxiv.org/abs/1511.04599>`_.
.. [2] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a Margin
   Based Approach", 2018, `arXiv:1802.09841 <https://arxiv.org/abs/1802.09841>`_.
"""

# %%
# One digit, step by step
# -----------------------
#
# We train a LeNet5 on 300 digits and attack some digits of the test set. We then look
# at the one for which DeepFool needs the most steps.

import matplotlib.pyplot as plt
import numpy as np
import torch

from skdfal import deepfool, make_classifier
from skdfal.datasets import load_digits

torch.manual_seed(0)
digits = load_digits()
net = make_classifier("lenet5", image_size=24, max_epochs=20, lr=0.003)
net.fit(digits.X_train[:300], digits.y_train[:300])

images = torch.from_numpy(digits.X_test[:100])
found = deepfool(net.module_, images)
slowest = int(found.n_iter.argmax())
x, n_steps = images[[slowest]], int(found.n_iter[slowest])
print(f"Most digits take {int(found.n_iter.median())} steps; this one takes {n_steps}.")

# %%
# Each step treats the network as linear and moves to the nearest of the flat boundaries
# that this gives. The next step starts from there. ``max_iter`` stops the walk early,
# so that we can look at each step.

walk = [x]
for i in range(1, n_steps + 1):
    r = deepfool(net.module_, x, max_iter=i).perturbation
    walk.append(x + 1.02 * r)  # the overshoot of 0.02 takes the last one across
proba = net.predict_proba(torch.cat(walk))
before, after = int(found.label[slowest]), int(found.adversarial_label[slowest])

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#BBBBBB"
fig, axes = plt.subplots(
    3, len(walk), figsize=(1.5 * len(walk), 4.6), layout="constrained"
)
scale = float((walk[-1] - x).abs().max())
for i, (x_i, p, column) in enumerate(zip(walk, proba, axes.T, strict=True)):
    column[0].imshow(x_i[0, 0], cmap="gray", vmin=0, vmax=1)
    column[0].set_title("the digit" if i == 0 else f"step {i}")
    column[1].imshow((x_i - x)[0, 0], cmap="RdBu_r", vmin=-scale, vmax=scale)
    column[1].set_xlabel(f"length {float((x_i - x).norm()):.2f}")
    colors = [
        BLUE if k == before else ORANGE if k == after else GREY for k in range(10)
    ]
    column[2].bar(range(10), p, color=colors)
    column[2].set(ylim=(0, 1), xticks=[before, after], yticks=[0, 0.5, 1])
    column[2].tick_params(labelleft=i == 0)
    for ax in column[:2]:
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[:, 0], ["image", "change so far", "probability"], strict=True):
    ax.set_ylabel(name)
fig.suptitle(f"From {before} (blue) to {after} (orange)")
plt.show()

# %%
# To us the last image still shows the same digit, which is why it may enter the
# training set with the digit's label. The length of the whole change is the digit's
# margin, except for the overshoot of 2 %, which ``norm`` of :func:`~skdfal.deepfool`
# leaves out.
#
# Two dimensions, where the boundary can be drawn
# -----------------------------------------------
#
# We train a small network on two moons, and draw the line on which its two logits are
# equal. The distance to this line is the true margin.

from sklearn.datasets import make_moons

from skdfal import MLP, dfal

X, y = make_moons(300, noise=0.15, random_state=0)
X = X.astype(np.float32)
toy = make_classifier(
    MLP, module__n_features=2, module__n_classes=2, lr=0.02, max_epochs=20
)
labelled = np.random.default_rng(3).choice(len(X), 30, replace=False)
toy.fit(X[labelled], y[labelled])
pool = np.delete(X, labelled, axis=0)


def logit_gap(points):
    with torch.no_grad():
        logits = toy.module_.eval()(torch.as_tensor(points, dtype=torch.float32))
    return (logits[:, 1] - logits[:, 0]).numpy()


u, v = np.meshgrid(np.linspace(-1.5, 2.5, 401), np.linspace(-1.1, 1.9, 301))
gap = logit_gap(np.c_[u.ravel(), v.ravel()]).reshape(u.shape)

# %%
# For every sample of the pool, we compare three answers to the question "how far is the
# other class?":
#
# * the true margin: the distance to the line;
# * the distance to the nearest sample that the network assigns to the other class;
# * the distance to the adversarial example that DeepFool finds.

fig, (ax, ax_right) = plt.subplots(
    1, 2, figsize=(10, 4.4), layout="constrained", width_ratios=[3, 2]
)
ax.contourf(u, v, gap, levels=[-1e9, 0, 1e9], colors=["#E3EEF6", "#F7E6DA"])
line = ax.contour(u, v, gap, levels=[0], colors="black", linewidths=1.5)
boundary = np.concatenate(line.allsegs[0])

predicted = logit_gap(pool) > 0
to_line = np.linalg.norm(pool[:, None] - boundary, axis=2)
to_other = np.linalg.norm(pool[:, None] - pool, axis=2)
to_other[predicted[:, None] == predicted] = np.inf
attack = deepfool(toy.module_, torch.from_numpy(pool))

true_margin = to_line.min(axis=1)
ends = {
    "true margin": boundary[to_line.argmin(axis=1)],
    "nearest other-class sample": pool[to_other.argmin(axis=1)],
    "nearest adversarial (DeepFool)": pool + attack.perturbation.numpy(),
}
looks = {
    "true margin": {"color": "black", "lw": 3.5, "alpha": 0.45},
    "nearest other-class sample": {"color": BLUE, "lw": 1.6, "ls": "--"},
    "nearest adversarial (DeepFool)": {"color": ORANGE, "lw": 1.6},
}

chosen_by_dfal = dfal(toy, pool, n_instances=1)[0]
chosen_by_other = to_other.min(axis=1).argmin()
print("Smallest true margin: sample", true_margin.argmin(), "of the pool.")
print("Queried by DFAL:", chosen_by_dfal, "- by the nearest other:", chosen_by_other)

for of_class, marker in [(False, "o"), (True, "^")]:
    ax.plot(*pool[predicted == of_class].T, marker, color="#888888", ms=3.5)
farthest_first = np.argsort(-true_margin)
for name, look in looks.items():
    for i in farthest_first[[25, 90, 160]]:
        ax.plot(*np.transpose([pool[i], ends[name][i]]), **look)
    ax.plot([], [], **look, label=name)
look_of_pick = {"ls": "", "mec": "black", "ms": 13}
picks = [
    (chosen_by_dfal, "*", ORANGE, "DFAL's choice"),
    (chosen_by_other, "P", BLUE, "choice by nearest other"),
]
for i, marker, color, name in picks:
    ax.plot(*pool[i], marker, color=color, label=name, **look_of_pick)
ax.set(xticks=[], yticks=[], xlim=(-1.5, 2.5), ylim=(-1.1, 1.9))
ax.set_aspect("equal")
ax.set_title("The boundary of the net, and three ways to it")
ax.legend(loc="upper right", fontsize="small", ncols=2, framealpha=1)

longest = 1.05 * true_margin.max()
ax_right.plot([0, longest], [0, longest], color="black", lw=1, label="equal")
markers = {"nearest other-class sample": "P", "nearest adversarial (DeepFool)": "o"}
for name, marker in markers.items():
    length = np.linalg.norm(ends[name] - pool, axis=1)
    ax_right.plot(
        true_margin, length, marker, color=looks[name]["color"], ms=4, label=name
    )
    ratio = np.median((length / true_margin)[np.argsort(true_margin)[:30]])
    print(f"{name}: {ratio:.2f} times the true margin, for the 30 smallest")
ax_right.set(xlabel="true margin", ylabel="distance found", title="The whole pool")
ax_right.legend(fontsize="small")
plt.show()

# %%
# We saw that a few steps reach the other class, and that their length is close to the
# true margin where the margin is small, which is where DFAL looks. Far from the
# boundary DeepFool overestimates the margin, because its path bends away from the
# shortest one. The distance to the nearest sample of the other class is a poor measure
# exactly where it matters: a sample may lie next to the boundary with no sample on the
# other side.
