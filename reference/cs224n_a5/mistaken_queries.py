"""Known wrong answers to question 1, each as a predicate that recognises it."""

from __future__ import annotations

import torch
from torch import Tensor

from .queries import (
    CLEAR,
    DRAWS,
    agreement,
    extracts,
    flat,
    near_keys,
    two_heads,
    vanishing_keys,
    weights_of,
)


def copies_another(result: Tensor, keys: Tensor, j: int) -> bool:
    """Mistake: the weight is at another value."""
    query = flat(result, keys)
    if isinstance(query, str):
        return False
    weights = weights_of(query, keys)
    return bool(weights.max() > CLEAR and weights.argmax() != j)


def copies_with_short_query(result: Tensor, keys: Tensor, j: int) -> bool:
    """Mistake: the key itself, or not many times it."""
    return points_to(result, keys, {j})


def averages_with_short_query(result: Tensor, keys: Tensor, a: int, b: int) -> bool:
    """Mistake: the sum of both keys, or not many times it."""
    return points_to(result, keys, {a, b})


def averages_one_only(result: Tensor, keys: Tensor, a: int, b: int) -> bool:
    """Mistake: nearly all of the weight is at a, or at b."""
    query = flat(result, keys)
    if isinstance(query, str):
        return False
    return bool(weights_of(query, keys)[..., [a, b]].max() > CLEAR)


def averages_means_with_short_query(result: Tensor, mu: Tensor, a: int, b: int) -> bool:
    """Mistake: the sum of both means, or not many times it."""
    return points_to(result, mu, {a, b})


def averages_one_mean_only(result: Tensor, mu: Tensor, a: int, b: int) -> bool:
    """Mistake: nearly all of the weight is at a, or at b."""
    query = flat(result, mu)
    return not isinstance(query, str) and averages_one_only(query, vanishing_keys(query, mu), a, b)


def points_to(result: Tensor, keys: Tensor, wanted: set[int]) -> bool:
    """Whether a query points to the wanted keys alike and to no other, but is too short."""
    query = flat(result, keys)
    if isinstance(query, str) or not query.norm() > 0:
        return False
    scores = keys.double() @ query
    right = torch.zeros_like(scores)
    right[list(wanted)] = scores[list(wanted)].mean()
    alike = bool(((scores - right).abs() <= 1e-4 * query.norm()).all())
    return alike and bool(right.max() > 0)


def extracts_the_other(result: Tensor, A: Tensor, B: Tensor) -> bool:
    """Mistake: M gives the part of the second space."""
    return extracts(result, B, A) is True


def extracts_when_transposed(result: Tensor, A: Tensor, B: Tensor) -> bool:
    """Mistake: M would have to be multiplied from the right."""
    return extracts(result.T, A, B) is True


def spreads_without_long_key(
    result: tuple[float, float], mu: Tensor, a: int, b: int, alpha: float, beta: float, samples: int
) -> bool:
    """Mistake: the key of a has the covariance alpha I, as the others have."""
    return all(agreement(result, spread(mu, a, b, alpha, beta, 0.0), samples))


def spreads_by_half(
    result: tuple[float, float], mu: Tensor, a: int, b: int, alpha: float, beta: float, samples: int
) -> bool:
    """Mistake: the length varies by 1/2, where 1/2 is the variance."""
    return all(agreement(result, spread(mu, a, b, alpha, beta, 0.5), samples))


def spreads_as_variance(
    result: tuple[float, float], mu: Tensor, a: int, b: int, alpha: float, beta: float, samples: int
) -> bool:
    """Mistake: the variance in place of the standard deviation."""
    mean, variance = result
    right = spread(mu, a, b, alpha, beta, 0.5**0.5)
    return variance >= 0 and all(agreement((mean, variance**0.5), right, samples))


def spread(mu: Tensor, a: int, b: int, alpha: float, beta: float, by: float) -> Tensor:
    """Weights of a (draws,) where the length of its key varies by a standard deviation `by`."""
    keys = near_keys(mu, alpha, DRAWS, seed=2)
    generator = torch.Generator().manual_seed(3)
    stretch = torch.randn(DRAWS, 1, generator=generator, dtype=torch.float64)
    keys[:, a] += by * stretch * mu[a].double()
    return weights_of(beta * (mu[a] + mu[b]), keys)[:, a]


def averages_in_each_head(result: tuple[Tensor, Tensor], mu: Tensor, a: int, b: int) -> bool:
    """Mistake: each head asks for a and b alike, as a single one would."""
    queries = [flat(query, mu) for query in result]
    good = [query for query in queries if not isinstance(query, str)]
    return len(good) == len(result) == 2 and all(points_to(query, mu, {a, b}) for query in good)


def asks_for_one_in_both_heads(result: tuple[Tensor, Tensor], mu: Tensor, a: int, b: int) -> bool:
    """Mistake: both heads ask for a, or both for b."""
    queries = [flat(query, mu) for query in result]
    good = [query for query in queries if not isinstance(query, str)]
    if len(good) != 2 or len(result) != 2:
        return False
    mean = two_heads(good, mu, a).mean(dim=0)
    return bool(mean[[a, b]].max() > 0.8)
