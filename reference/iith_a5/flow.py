"""The planar flow of iith_a5 (P4): y = z + u tanh(w.z + b) with w = (5, 0), u = (3, 0), b = 0.

Source: Rezende and Mohamed 2015, section 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .mistakes import det_of_h, det_unsquared, det_without_one, det_without_w

W, U, B = (5.0, 0.0), (3.0, 0.0), 0.0
POINTS = 1000


def h(x: Tensor) -> Tensor:
    """The flow's non-linear part."""
    return torch.tanh(x)


def h_prime(x: Tensor) -> Tensor:
    """Its derivative."""
    return 1 - torch.tanh(x) ** 2


def f(z: Tensor) -> Tensor:
    """Move points: (points, 2) to (points, 2)."""
    return z + h(z @ z.new_tensor(W) + B)[:, None] * z.new_tensor(U)


def abs_det_jacobian(z: Tensor) -> Tensor:
    """How much the flow stretches space at points (points, 2): (points,)."""
    along = z.new_tensor(W) @ z.new_tensor(U)
    return (1 + h_prime(z @ z.new_tensor(W) + B) * along).abs()


def grid() -> Tensor:
    """1000 x 1000 points of [-3, 3]^2: (1000000, 2) float64."""
    line = torch.linspace(-3, 3, POINTS, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def q0(z: Tensor) -> Tensor:
    """Density of the standard normal distribution in the plane: (points, 2) to (points,)."""
    return torch.exp(-(z**2).sum(dim=1) / 2) / (2 * math.pi)


def q1_mean() -> float:
    """Mean of q1 over the grid."""
    return (q0(grid()) / abs_det_jacobian(grid())).mean().item()


def q1_std() -> float:
    """Standard deviation of q1 over the grid."""
    return (q0(grid()) / abs_det_jacobian(grid())).std(correction=0).item()


def q1_mean_multiplied() -> float:
    """Mistake: times the determinant."""
    return (q0(grid()) * abs_det_jacobian(grid())).mean().item()


def q1_std_multiplied() -> float:
    """Mistake: times the determinant."""
    return (q0(grid()) * abs_det_jacobian(grid())).std(correction=0).item()


def q0_mean() -> float:
    """Mistake: the density before the flow."""
    return q0(grid()).mean().item()


def q0_std() -> float:
    """Mistake: the density before the flow."""
    return q0(grid()).std(correction=0).item()


def is_abs_det_jacobian(result: Tensor, z: Tensor) -> bool | str:
    """Whether there is one right number for every point, in a row or in a column."""
    right = _is_at(result, z, abs_det_jacobian(z))
    return right or "The numbers are not the absolute determinants of dy/dz at these points."


def is_det_without_one(result: Tensor, z: Tensor) -> bool:
    """Mistake: the identity is left out."""
    return _is_at(result, z, det_without_one(z)) is True


def is_det_without_w(result: Tensor, z: Tensor) -> bool:
    """Mistake: w is left out."""
    return _is_at(result, z, det_without_w(z)) is True


def is_det_unsquared(result: Tensor, z: Tensor) -> bool:
    """Mistake: another derivative of tanh."""
    return _is_at(result, z, det_unsquared(z)) is True


def is_det_of_h(result: Tensor, z: Tensor) -> bool:
    """Mistake: h where its derivative belongs."""
    return _is_at(result, z, det_of_h(z)) is True


def _is_at(result: Tensor, z: Tensor, expected: Tensor) -> bool | str:
    seen = result.double().flatten()
    if seen.shape != expected.shape:
        return "One number for every point is asked."
    return torch.allclose(seen, expected.double(), rtol=1e-4, atol=1e-5)
