"""A GPU that is none: tensors say they are on it, and their numbers stay in plain memory.

An operation of tensors of both devices fails as it would on a real one, so does `numpy()`. Numbers
and random numbers are those of the CPU, bit by bit.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "fakegpu"
ops = torch.ops.aten
INDEXING = {ops.index, ops.index_put_, ops.index_put, ops._index_put_impl_}  # places may be CPU's
ACROSS = {ops._to_copy, ops.copy_} | INDEXING


class OnGpu(torch.Tensor):
    """A tensor on the GPU; its numbers are in `inner`."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=f"{NAME}:0",
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class FakeGpu(TorchDispatchMode):
    """Where tensors can be made on the GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    """The result of operation `func`, on the GPU if its tensors or its argument `device` are."""
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there = [x for x in given if isinstance(x, OnGpu)]
    here = [x for x in given if not isinstance(x, OnGpu) and x.dim() > 0]
    if there and here and func.overloadpacket not in ACROSS:
        raise RuntimeError(f"{func}: tensors on the CPU and on the GPU")
    device = kwargs.get("device")
    on_gpu = bool(there) if device is None else torch.device(device).type == NAME
    if func.overloadpacket is ops.copy_:
        on_gpu = isinstance(args[0], OnGpu)
    elif there and func.overloadpacket in INDEXING and not isinstance(args[0], OnGpu):
        raise RuntimeError(f"{func}: places on the GPU in a tensor on the CPU")
    inner_args, inner_kwargs = tree_map_only(OnGpu, lambda x: x.inner, (args, kwargs))
    if device is not None:
        inner_kwargs = inner_kwargs | {"device": torch.device("cpu")}
    result = func(*inner_args, **inner_kwargs)
    if func.overloadpacket is ops._to_copy and result is inner_args[0]:
        result = result.clone()
    if not on_gpu:
        return result
    result = tree_map_only(torch.Tensor, OnGpu, result)
    return return_and_correct_aliasing(func, args, kwargs, result)


def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return OnGpu(torch.empty_strided(size, stride, dtype=dtype))


def copy_from(source, target, non_blocking=False):
    target.inner.copy_(source.inner if isinstance(source, OnGpu) else source)
    return target


def install() -> torch.library.Library:
    """Make the device known to torch, for as long as the process and what is returned live.

    To be called before the first backward pass of the process, which starts a thread per device.
    """
    _setup_privateuseone_for_python_backend(NAME)
    # `torch.tensor(numbers, device=...)` makes and copies below the reach of `FakeGpu`.
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    return library
