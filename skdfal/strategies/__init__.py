"""Query strategies, one per file.

The order of imports is the order of all tables. To add a strategy, write its file and
add a line here.
"""

# ruff: noqa: F401, F403, I001
from skdfal.strategies._base import STRATEGIES, Strategy, describe, register, unregister
from skdfal.strategies._deepfool_margin import *
from skdfal.strategies._dfal_plus import *
from skdfal.strategies._dfal_diverse import *
from skdfal.strategies._uncertainty import *
from skdfal.strategies._bald import *
from skdfal.strategies._mc_dropout import *
from skdfal.strategies._ceal import *
from skdfal.strategies._core_set import *
from skdfal.strategies._badge import *
from skdfal.strategies._typi_clust import *
from skdfal.strategies._prob_cover import *
from skdfal.strategies._egl import *
from skdfal.strategies._learning_loss import *
from skdfal.strategies._vaal import *
from skdfal.strategies._ta_vaal import *
from skdfal.strategies._random import *
from skdfal.strategies._skactiveml import *

__all__ = sorted(name for name in globals() if not name.startswith("_"))
