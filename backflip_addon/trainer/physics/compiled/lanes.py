# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of LANES bodies side by side: a type for numba, so that physics is written as if for one body.

A value of type Lanes is a vector of LANES float32, a body a lane; + - * / and comparisons work lane by
lane. In memory a quantity is a row of a float32 array (..., LANES). numba's own loops over a trailing axis of bodies
are not vectorised where it matters (a constant length is unrolled to scalars), hence the type.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from ....core.arrays import Float32Array
from ... import compiled_cache
from ...lane_count import LANES

compiled_cache.use()  # before the first kernel is defined

Lanes: TypeAlias = Any  # as numba sees it; Python never does
Mask: TypeAlias = Any
_Function = TypeVar("_Function", bound=Callable[..., Any])

# Sums may be reordered and multiply-adds fused; numbers are taken to be finite
_FAST = ("nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc")
# Arrays are only read and written, never made: without the counting of references to them, which would cost more than
# the physics
_OPTIONS = {"fastmath": True, "error_model": "numpy", "boundscheck": False, "nogil": True, "_nrt": False}
_OPTIONS |= {"no_cfunc_wrapper": True}  # what C would call; nobody does, and to compile it takes a tenth of the time
_ALIGNMENT = 64  # bytes, a cache line


def kernel(function: _Function) -> _Function:
    """Compile a function for numbers in lanes; its machine code is kept on the disk."""
    compiled: _Function = njit(**_OPTIONS, cache=True)(function)
    return compiled


def inlined(function: _Function) -> _Function:
    """As kernel, for a part of one: its code goes where it is called, since to hand over tables costs more than most
    functions do. Kernels alone can call it: what Python would call takes as long to compile as the part itself."""
    compiled = njit(**_OPTIONS, forceinline=True, no_cpython_wrapper=True)(function)
    compiled.__class__ = _PartOfKernels
    part: _Function = compiled
    return part


class _PartOfKernels(CPUDispatcher):  # type: ignore[misc]  # what numba says of its own types is not read
    """A compiled function without code for Python, whose call would be the process's end."""

    def __call__(self, *_arguments: object) -> None:
        raise TypeError(f"{self.py_func.__name__}() is a part of kernels: they alone can call it")


def rows(*shape: int) -> Float32Array:
    """Zeros (..., LANES), aligned for vectors."""
    count = math.prod(shape) * LANES
    raw = np.zeros(count * 4 + _ALIGNMENT, np.uint8)
    start = -raw.__array_interface__["data"][0] % _ALIGNMENT  # raw.ctypes takes as long as all the rest
    return raw[start : start + count * 4].view(np.float32).reshape(*shape, LANES)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"lanes{LANES}")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"mask{LANES}")


_lanes, _mask = _LanesType(), _MaskType()
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_NUMBERS = (types.float32, types.float64)


register_model(_LanesType)(lambda manager, kind: models.PrimitiveModel(manager, kind, _VECTOR))
register_model(_MaskType)(lambda manager, kind: models.PrimitiveModel(manager, kind, _BITS))


def _of_lanes(function: Callable[..., Any]) -> Any:
    """A function whose code is built here; without numba's own types, which Python's callers know nothing of."""
    return intrinsic(function)


def _splat(builder: Any, number: Any) -> Any:
    """A number in all lanes. Literals come as float64; no lane is."""
    if number.type == ir.DoubleType():
        number = builder.fptrunc(number, ir.FloatType())
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _operation(symbol: Callable[..., Any], result: types.Type, build: Callable[[Any, Any, Any], Any]) -> None:
    """Teach numba an operator between lanes, and between lanes and numbers."""

    def typer(a: Any, b: Any) -> Any:
        both = all(x is _lanes or x in _NUMBERS for x in (a, b))
        return result if both and (a is _lanes or b is _lanes) else None

    def lower(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        kinds = zip(operands, signature.args, strict=True)
        return build(builder, *(x if kind is _lanes else _splat(builder, x) for x, kind in kinds))

    type_callable(symbol)(lambda context: typer)
    for number in _NUMBERS:
        for pair in ((_lanes, number), (number, _lanes)):
            lower_builtin(symbol, *pair)(lower)
    lower_builtin(symbol, _lanes, _lanes)(lower)


_operation(operator.add, _lanes, lambda builder, a, b: builder.fadd(a, b, flags=_FAST))
_operation(operator.sub, _lanes, lambda builder, a, b: builder.fsub(a, b, flags=_FAST))
_operation(operator.mul, _lanes, lambda builder, a, b: builder.fmul(a, b, flags=_FAST))
_operation(operator.truediv, _lanes, lambda builder, a, b: builder.fdiv(a, b, flags=_FAST))
_operation(operator.lt, _mask, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_operation(operator.le, _mask, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))
_operation(operator.gt, _mask, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_operation(operator.ge, _mask, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))


type_callable(operator.neg)(lambda context: lambda a: _lanes if a is _lanes else None)
lower_builtin(operator.neg, _lanes)(lambda context, builder, signature, operands: builder.fneg(*operands, flags=_FAST))


def _pointer(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    start = builder.gep(data, [builder.mul(row, ir.Constant(row.type, LANES))])
    return builder.bitcast(start, _VECTOR.as_pointer())


@_of_lanes
def load(typing: Any, array: Any, row: Any) -> Any:
    """A row of a contiguous array (n, LANES)."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        index = context.cast(builder, operands[1], signature.args[1], types.intp)
        return builder.load(_pointer(context, builder, signature.args[0], operands[0], index), align=4)

    return _lanes(array, types.intp), build


@_of_lanes
def store(typing: Any, array: Any, row: Any, value: Any) -> Any:
    """Write a row of a contiguous array (n, LANES)."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        index = context.cast(builder, operands[1], signature.args[1], types.intp)
        builder.store(operands[2], _pointer(context, builder, signature.args[0], operands[0], index), align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, _lanes), build


@_of_lanes
def everywhere(typing: Any, number: Any) -> Any:
    """A number in all lanes."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return _splat(builder, context.cast(builder, operands[0], signature.args[0], types.float32))

    return _lanes(types.float32), build


def _function(name: str) -> Any:
    """One of LLVM's own functions of a vector."""

    def typed(typing: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
            kind = ir.FunctionType(_VECTOR, [_VECTOR])
            function = cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f32")
            return builder.call(function, operands, fastmath=_FAST)

        return _lanes(_lanes), build

    return _of_lanes(typed)


square_root = _function("llvm.sqrt")
absolute = _function("llvm.fabs")
rounded = _function("llvm.rint")


@_of_lanes
def least(typing: Any, a: Any, b: Any) -> Any:
    """The smaller of two, lane by lane."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *operands), *operands)

    return _lanes(_lanes, _lanes), build


@_of_lanes
def greatest(typing: Any, a: Any, b: Any) -> Any:
    """The larger of two, lane by lane."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *operands), *operands)

    return _lanes(_lanes, _lanes), build


@_of_lanes
def where(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """a in the lanes of a mask, b in the others."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return builder.select(*operands)

    return _lanes(_mask, _lanes, _lanes), build


@_of_lanes
def any_lane(typing: Any, mask: Any) -> Any:
    """Whether a mask holds in any lane."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        bits = builder.bitcast(operands[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(_mask), build


@_of_lanes
def power_of_two(typing: Any, value: Any) -> Any:
    """2 to the power of whole numbers from -126 to 127."""

    def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        kind = ir.VectorType(ir.IntType(32), LANES)
        biased = builder.add(builder.fptosi(operands[0], kind), ir.Constant(kind, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(kind, [23] * LANES)), _VECTOR)

    return _lanes(_lanes), build
