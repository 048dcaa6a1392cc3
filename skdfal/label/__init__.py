"""A folder of pictures, a page that asks for labels, and a net that learns.

The command is ``skdfal label``.
"""

from skdfal.label._answers import Answers
from skdfal.label._demo import load_demo
from skdfal.label._event import Event
from skdfal.label._order import Order
from skdfal.label._project import Project
from skdfal.label._store import NotSavedError, Store, StoreError
from skdfal.label._trainer import Recipe

__all__ = [
    "Answers",
    "Event",
    "NotSavedError",
    "Order",
    "Project",
    "Recipe",
    "Store",
    "StoreError",
    "load_demo",
]
