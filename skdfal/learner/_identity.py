"""Digests that identify a run: values are hashed by content, never by ``repr``."""

import dis
import enum
import functools
import hashlib
import inspect
import math
import os
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn


class UnidentifiableError(TypeError):
    """Raised if a value's content cannot be hashed to identify a saved run.

    See Also
    --------
    skdfal.LabelingSession : Its ``path`` requires parameters that can be hashed.

    Examples
    --------
    >>> from skdfal.learner import UnidentifiableError
    >>> issubclass(UnidentifiableError, TypeError)
    True
    """


def digest(value, name="value"):
    """Return the SHA-256 of the content of ``value``, the same in every process.

    Equal values have equal digests. Values that would behave differently have different
    digests; this covers weights, single entries of long arrays, and the constants and
    closures of lambdas.

    Parameters
    ----------
    value : object
        Plain data, arrays, tensors, functions, classes, estimators, modules, or
        objects made of these.
    name : str, default="value"
        Name of the value in error messages.

    Returns
    -------
    digest : str
        64 hexadecimal digits.

    Raises
    ------
    UnidentifiableError
        If the content of some part cannot be hashed, as for an open file.

    Examples
    --------
    >>> from skdfal.learner._identity import digest
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    >>> digest(lambda x: x + 1) == digest(lambda x: x + 2)
    False
    """
    try:
        return _Hasher().digest(value, name).hex()
    except RecursionError:
        raise UnidentifiableError(
            f"{name} is nested too deeply to be hashed."
        ) from None


def parameter_digests(name, value):
    """Yield (name, digest) of a parameter, or of each nested one of an estimator.

    This way an error can name the parameter in which two runs differ.
    """
    if not _is_estimator(value) or _is_frozen(value):
        yield name, digest(value, name)
        return
    yield name, digest(type(value), name)
    for key, inner in _parameters(value).items():
        if key == "steps":
            yield f"{name}__steps", digest([step for step, _ in inner], name)
            for step, transformer in inner:
                yield from parameter_digests(f"{name}__{step}", transformer)
        else:
            yield from parameter_digests(f"{name}__{key}", inner)


# Attributes that do not affect what a class does, or that differ between Pythons.
_OF_EVERY_CLASS = {
    "__abstractmethods__",
    "__annotate__",
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
}
_OF_EVERY_MODULE = set(vars(nn.Module()))
_HOOKS = {name for name in _OF_EVERY_MODULE if name.endswith(("_hooks", "_pre_hooks"))}
_SCALARS = (bool, int, float, complex, str, bytes)
_DESCRIPTORS = (
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


class _Hasher:
    """One walk through a value; each digest combines a tag and the parts' digests."""

    def __init__(self):
        self.stack = []  # ids of the enclosing values

    def digest(self, value, path):
        if id(value) in self.stack:  # a cycle: hash how many levels up it goes
            return _combine("cycle", [b"%d" % self.stack[::-1].index(id(value))])
        self.stack.append(id(value))
        try:
            return self.dispatch(value, path)
        finally:
            self.stack.pop()

    def dispatch(self, value, path):
        if value is None or value is Ellipsis or value is NotImplemented:
            return _combine("constant", [type(value).__name__.encode()])
        for kinds, method in _KINDS:
            if isinstance(value, kinds):
                return method(self, value, path)
        if _is_frame(value):
            return self.frame(value, path)
        if _is_estimator(value) and not _is_frozen(value):
            return self.estimator(value, path)
        return self.object(value, path)

    # Plain data

    def scalar(self, value, path):
        if isinstance(value, np.generic):
            plain = value.item()
            if not isinstance(plain, _SCALARS) or (
                value.dtype.kind in "fc" and value.dtype.itemsize not in (8, 16)
            ):
                return self.array(np.asarray(value), path)
            value = plain
        if isinstance(value, enum.Enum):
            return self.parts("enum", path, type(value), value.name)
        kind = next(kind for kind in _SCALARS if isinstance(value, kind))
        if type(value) is not kind:  # a subclass may behave differently
            return self.parts("subclass", path, type(value), kind(value))
        if kind is float:
            value = value if value == value else math.nan  # NaN has many bit patterns
            return _combine("float", [struct.pack("<d", value)])
        if kind is complex:
            return _combine("complex", [struct.pack("<dd", value.real, value.imag)])
        if kind is str:
            return _combine("str", [value.encode("utf-8", "surrogatepass")])
        return _combine(kind.__name__, [value if kind is bytes else b"%d" % value])

    def sequence(self, value, path):
        items = [self.digest(v, f"{path}[{i}]") for i, v in enumerate(value)]
        return _combine("sequence", [self.digest(type(value), path), *items])

    def set(self, value, path):
        items = sorted(self.digest(v, f"an element of {path}") for v in value)
        return _combine("set", [self.digest(type(value), path), *items])

    def mapping(self, value, path):
        items = [
            self.digest(k, f"a key of {path}") + self.digest(v, f"{path}[{k!r}]")
            for k, v in value.items()
        ]
        if not isinstance(value, OrderedDict):  # only there does the order matter
            items.sort()
        own = vars(value) if hasattr(value, "__dict__") else {}
        rest = [self.mapping(own, path)] if own else []
        return _combine("mapping", [self.digest(type(value), path), *items, *rest])

    def slice(self, value, path):
        ends = (value.start, value.stop, value.step)
        return self.parts(type(value).__name__, path, *ends)

    def path(self, value, path):
        return self.parts("path", path, os.fspath(value))

    # Arrays and tensors

    def dtype(self, value, path):
        return self.parts("dtype", path, np.lib.format.dtype_to_descr(value))

    def array(self, value, path):
        if isinstance(value, np.ma.MaskedArray):
            mask = np.ma.getmaskarray(value)
            known = np.where(mask, np.zeros((), value.dtype), value.data)
            return self.parts("masked", path, mask, known)
        if value.dtype == object:
            flat = list(value.ravel())
            return self.parts("objects", path, list(value.shape), flat)
        if value.dtype.hasobject:
            raise _refusal(path, value, "its dtype has object fields")
        content = np.ascontiguousarray(value).reshape(-1)
        content = content.view(np.uint8) if value.nbytes else b""
        head = [self.digest(value.dtype, path), self.digest(list(value.shape), path)]
        return _combine("array", [*head, memoryview(content)])

    def tensor(self, value, path):
        if value.is_meta:
            raise _refusal(path, value, "it is on the meta device and has no data")
        value = value.detach()
        if value.is_quantized:
            raise _refusal(path, value, "it is quantized")
        if value.layout == torch.sparse_coo:
            value = value.coalesce()
            shape = list(value.shape)
            return self.parts("sparse", path, value.indices(), value.values(), shape)
        value = value.to_dense() if value.layout != torch.strided else value
        content = value.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        content = content.view(torch.uint8).numpy() if content.numel() else b""
        head = [self.digest(value.dtype, path), self.digest(list(value.shape), path)]
        return _combine("tensor", [*head, memoryview(content)])

    def torch_constant(self, value, path):
        if isinstance(value, torch.device):
            return self.parts("device", path, value.type, value.index)
        return self.parts("torch", path, type(value), value.__reduce__())

    def random(self, value, path):
        if isinstance(value, np.random.RandomState):
            return self.parts("RandomState", path, value.get_state(legacy=False))
        if isinstance(value, np.random.Generator):
            return self.parts("Generator", path, value.bit_generator.state)
        return self.parts("torch.Generator", path, value.get_state())

    def frame(self, value, path):
        if hasattr(value, "columns"):
            names = list(value.columns)
            columns = [value.iloc[:, i] for i in range(len(names))]
        else:
            names, columns = [value.name], [value]
        return self.parts(
            "frame",
            path,
            names,
            value.index.to_numpy(),
            [column.dtype.name for column in columns],
            [column.to_numpy() for column in columns],
        )

    # Code

    def named(self, value, path):
        """Digest a class, function or descriptor, by its import name if it has one."""
        module, name = getattr(value, "__module__", None), value.__qualname__
        if module is None and hasattr(value, "__objclass__"):
            module = value.__objclass__.__module__
        if getattr(torch, value.__name__, None) is value:  # does not know its module
            module, name = "torch", value.__name__
        if module != "__main__" and _find(module, name) is value:
            return _combine("named", [module.encode(), name.encode()])
        if isinstance(value, type):
            return self.local_class(value, path)
        if isinstance(value, types.FunctionType):
            return self.function(value, path)
        owner = getattr(value, "__self__", None)
        if isinstance(owner, types.ModuleType):
            return self.parts("named", path, owner.__name__, name)
        if owner is not None:
            return self.parts("method", path, owner, name)
        if hasattr(value, "__objclass__"):
            return self.parts("slot", path, name)
        raise _refusal(path, value, "it cannot be imported by its name")

    def local_class(self, value, path):
        members = {k: v for k, v in vars(value).items() if k not in _OF_EVERY_CLASS}
        return self.parts(
            "class", path, value.__qualname__, list(value.__bases__), members
        )

    def function(self, value, path):
        free = value.__code__.co_freevars
        cells = dict(zip(free, value.__closure__ or (), strict=True))
        used = {n: value.__globals__[n] for n in _globals_of(value.__code__)
                if n in value.__globals__}  # fmt: skip
        parts = [
            self.code(value.__code__, path),
            self.digest(value.__defaults__, f"a default of {path}"),
            self.digest(value.__kwdefaults__, f"a default of {path}"),
        ]
        parts += [self.digest(cells[n], f"{n!r} in {path}") for n in free]
        parts += [self.digest(used[n], f"global {n!r} of {path}") for n in sorted(used)]
        return _combine("function", parts)

    def code(self, value, path):
        return self.parts(
            "code",
            path,
            value.co_code,
            value.co_consts,
            [value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars],
            [value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount],
            value.co_flags,
        )

    def cell(self, value, path):
        try:
            return self.digest(value.cell_contents, path)
        except ValueError:
            return _combine("empty cell", [])

    def method(self, value, path):
        return self.parts("method", path, value.__self__, value.__func__)

    def partial(self, value, path):
        return self.parts("partial", path, value.func, value.args, value.keywords)

    def ufunc(self, value, path):
        if getattr(np, value.__name__, None) is value:
            return self.parts("ufunc", path, value.__name__)
        raise _refusal(path, value, "it is a function made by another library")

    def wrapper(self, value, path):
        return self.parts(type(value).__name__, path, value.__func__)

    def property(self, value, path):
        return self.parts("property", path, value.fget, value.fset, value.fdel)

    def module_of_python(self, value, path):
        return self.parts("import", path, value.__name__)

    # Objects

    def estimator(self, value, path):
        parameters = [
            self.digest(k, path) + self.digest(v, f"{path}.{k}")
            for k, v in sorted(_parameters(value).items())
        ]
        return _combine("estimator", [self.digest(type(value), path), *parameters])

    def torch_module(self, value, path):
        if isinstance(value, torch.jit.ScriptModule) or hasattr(value, "_orig_mod"):
            raise _refusal(path, value, "it is compiled; pass the module it came from")
        own = vars(value)
        hooks = sorted(name for name in _HOOKS if own.get(name))
        if hooks:
            raise _refusal(path, value, f"hooks are registered ({', '.join(hooks)})")
        tensors = {**own["_parameters"], **own["_buffers"]}
        trained = [k for k, p in own["_parameters"].items() if p is None
                   or p.requires_grad]  # fmt: skip
        plain = {k: v for k, v in own.items() if k not in _OF_EVERY_MODULE}
        parts = [self.digest(type(value), path), self.digest(trained, path)]
        for group in (tensors, own["_modules"], plain):
            for name, part in group.items():
                found = self.digest(part, f"{path}.{name}")
                parts.append(self.digest(name, path) + found)
        return _combine("module", [*parts, self.digest(value.training, path)])

    def object(self, value, path):
        """Digest any other object by its class and attributes."""
        cls = type(value)
        slots = [
            slot
            for base in cls.__mro__
            for slot in _as_names(vars(base).get("__slots__", ()))
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot)
        ]
        is_opaque = not slots and not hasattr(value, "__dict__")
        if (is_opaque and cls is not object) or hasattr(value, "fileno"):
            raise _refusal(path, value, "it has no content to hash")
        state = {slot: getattr(value, slot) for slot in slots}
        state |= getattr(value, "__dict__", {})
        parts = []
        for k, v in sorted(state.items(), key=lambda item: str(item[0])):
            inner = f"{path}.{k}"
            is_fitted = _is_frozen(value) and _is_estimator(v)
            found = self.object(v, inner) if is_fitted else self.digest(v, inner)
            parts.append(self.digest(k, path) + found)
        return _combine("object", [self.digest(cls, path), *parts])

    def refuse(self, value, path):
        raise _refusal(path, value, "it has no content to hash")

    def parts(self, tag, path, *values):
        return _combine(tag, [self.digest(value, path) for value in values])


# The first matching kind is used.
_KINDS = [
    ((*_SCALARS, np.generic, enum.Enum), _Hasher.scalar),
    ((list, tuple, bytearray), _Hasher.sequence),
    ((set, frozenset), _Hasher.set),
    ((dict, types.MappingProxyType), _Hasher.mapping),
    ((slice, range), _Hasher.slice),
    (os.PathLike, _Hasher.path),
    (np.dtype, _Hasher.dtype),
    (np.ndarray, _Hasher.array),
    (torch.Tensor, _Hasher.tensor),
    ((torch.device, torch.dtype, torch.layout, torch.memory_format),
     _Hasher.torch_constant),
    ((np.random.RandomState, np.random.Generator, torch.Generator), _Hasher.random),
    ((type, types.FunctionType, types.BuiltinFunctionType, *_DESCRIPTORS),
     _Hasher.named),
    (types.CodeType, _Hasher.code),
    (types.CellType, _Hasher.cell),
    (types.MethodType, _Hasher.method),
    (functools.partial, _Hasher.partial),
    (np.ufunc, _Hasher.ufunc),
    ((staticmethod, classmethod), _Hasher.wrapper),
    (property, _Hasher.property),
    (types.ModuleType, _Hasher.module_of_python),
    (nn.Module, _Hasher.torch_module),
    ((types.GeneratorType, types.CoroutineType, types.FrameType), _Hasher.refuse),
]  # fmt: skip


def _combine(tag, parts):
    """Hash a tag and parts, each preceded by its length."""
    total = hashlib.sha256()
    for part in (tag.encode(), *parts):
        total.update(struct.pack("<Q", len(part)))
        total.update(part)
    return total.digest()


def _refusal(path, value, reason):
    kind = type(value)
    return UnidentifiableError(
        f"{path} is a {kind.__module__}.{kind.__qualname__} that cannot be hashed: "
        f"{reason}. A saved run is identified by its parameters: pass data, functions "
        "and classes that can be imported, or leave out the path."
    )


def _find(module, name):
    """Return the object with this qualified name in a module, or None."""
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None) if part.isidentifier() else None
    return found


def _globals_of(code):
    """Return names of the globals that a code object and its inner ones read."""
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for const in code.co_consts:
        if inspect.iscode(const):
            names |= _globals_of(const)
    return names


def _is_estimator(value):
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_frozen(value):
    """Whether ``clone`` keeps the estimator unchanged, including fitted attributes."""
    stock = BaseEstimator.__sklearn_clone__
    return getattr(type(value), "__sklearn_clone__", stock) is not stock


def _parameters(estimator):
    """Parameters of an estimator, without skorch's private ones."""
    parameters = estimator.get_params(deep=False)
    return {name: v for name, v in parameters.items() if not name.startswith("_")}


def _is_frame(value):
    return hasattr(value, "iloc") and hasattr(value, "index")


def _as_names(slots):
    return (slots,) if isinstance(slots, str) else tuple(slots)
