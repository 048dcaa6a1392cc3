"""Checks that weights and outputs of a net contain neither NaN nor infinity."""

import torch


def check_weights(module):
    """Raise if the training of a module has diverged.

    Constant buffers may contain infinity on purpose, like the masks of transformers;
    only NaN counts there.

    Parameters
    ----------
    module : nn.Module
        Trained module.

    Raises
    ------
    ValueError
        If weights contain NaN or infinity.
    """
    bad = [name for name, p in module.named_parameters() if not p.isfinite().all()]
    bad += [name for name, b in module.named_buffers() if b.isnan().any()]
    if bad:
        raise ValueError(
            f"The training of {type(module).__name__} has diverged: its weights "
            f"contain NaN or infinity, such as {bad[0]!r}. Lower the learning rate, or "
            "scale X (pixels to [0, 1], for example), and fit again."
        )


def check_outputs(outputs, module):
    """Raise unless the outputs for finite samples are finite.

    Parameters
    ----------
    outputs : Tensor or ndarray of shape (n_samples, ...)
        What the module, or something computed from it, is for each sample.
    module : nn.Module
        The module.

    Raises
    ------
    ValueError
        If they contain NaN or infinity; the message says why.
    """
    is_good = torch.as_tensor(outputs).isfinite().reshape(len(outputs), -1).all(1)
    if is_good.all():
        return
    check_weights(module)
    n_bad, n_samples = int((~is_good).sum()), len(is_good)
    if any(p.dtype == torch.float16 for p in module.parameters()):
        raise ValueError(
            f"{type(module).__name__} returns NaN or infinity for {n_bad} of "
            f"{n_samples} samples, although X and its weights are finite: it probably "
            "overflows in float16. Scale X, or use bfloat16 or float32."
        )
    raise ValueError(
        f"{type(module).__name__} returns NaN or infinity for {n_bad} of {n_samples} "
        "samples, although X and its weights are finite: it overflows, divides by 0 or "
        "takes the logarithm of 0 there. Lower the learning rate, or scale X (pixels "
        "to [0, 1], for example), and fit again."
    )
