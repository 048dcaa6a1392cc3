"""The digits as pictures are the digits."""

import numpy as np
import pytest

from skdfal.datasets import load_digits
from skdfal.label import load_demo
from skdfal.label._demo import TRUTH
from skdfal.label._formats import read_labels
from skdfal.pool import ImagePool

pytest.importorskip("PIL", reason="Pillow is not installed")


def test_the_pool_of_the_demo_is_the_digits(tmp_path):
    pool = ImagePool(load_demo(tmp_path / "demo"), image_size=24)
    digits = load_digits()
    X = np.concatenate([digits.X_train, digits.X_test])
    np.testing.assert_allclose(pool[:], X, atol=0.5 / 255 + 1e-6)
    truth = read_labels(tmp_path / "demo" / TRUTH)
    assert [event.picture for event in truth] == pool.names
    y = np.concatenate([digits.y_train, digits.y_test])
    assert [event.label for event in truth] == [str(label) for label in y]


def test_what_is_there_is_left_as_it_is(tmp_path):
    load_demo(tmp_path)
    (tmp_path / "digit-0000.png").unlink()
    load_demo(tmp_path)
    assert not (tmp_path / "digit-0000.png").exists()
    (tmp_path / TRUTH).unlink()  # as after a kill in the middle
    load_demo(tmp_path)
    assert (tmp_path / "digit-0000.png").exists()


def test_not_among_other_pictures(tmp_path):
    (tmp_path / "mine.png").touch()
    with pytest.raises(ValueError, match=r"mine\.png"):
        load_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_not_above_folders_of_other_pictures(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(ValueError, match="contains other files, such as cats"):
        load_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cats"]
