"""Question 1: queries for given keys, and how steady the attention is that they get.

The keys of a value are orthogonal and of length one, or lie near means that are. A predicate gets
what a student's function returned, and the inputs it asks for; it returns True, or False, or the
sentence that the student reads. Those of mistakes are in `mistaken_queries.py`.

Source: CS224N, assignment 5 (2021 to 2024), question 1, in the names of our template.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = 50.0
CLEAR = 0.99
NEAR = 0.01
#: How far the mean weight of two heads may be from one half: a key that points away gets nothing.
NEAR_OF_TWO = 0.15
#: How much of a single head's spread two heads may have at most.
STEADIER = 0.7
DRAWS = 100_000
#: How many standard errors two simulations may be apart.
ERRORS = 6.0


# Inputs


def frame(d: int) -> Tensor:
    """Orthonormal rows (d, d) of halves and ones, whose products have no rounding."""
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    return torch.block_diag(*[signs / 2] * (d // 4), *[torch.ones(1, 1)] * (d % 4))


def exact_means(seed: int, m: int, d: int) -> Tensor:
    """Draw orthonormal rows (m, d); however long a query is, it meets two of them alike."""
    generator = torch.Generator().manual_seed(seed)
    return frame(d)[torch.randperm(d, generator=generator)[:m]]


def rotation(seed: int, m: int) -> Tensor:
    """Draw an orthogonal matrix (m, m)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(m, m, generator=generator)).Q


def first_basis(seed: int, d: int, m: int) -> Tensor:
    """Draw an orthonormal basis (d, m) of the space that the first m columns of the frame span."""
    return frame(d).T[:, :m] @ rotation(seed, m)


def second_basis(seed: int, d: int, p: int) -> Tensor:
    """Draw an orthonormal basis (d, p) of a space at right angles to every `first_basis`.

    It is spanned by the last p columns of the frame, so m + p must not be more than d.
    """
    return frame(d).T[:, d - p :] @ rotation(seed, p)


# Right answers


def copy_query(keys: Tensor, j: int) -> Tensor:
    """Ask for value j: keys (m, d) give a query (d,) whose softmax is nearly all at j."""
    return SCALE * keys[j]


def extractor(A: Tensor, B: Tensor) -> Tensor:
    """Give M (m, d) such that M (v_a + v_b) are the coordinates of v_a in the basis A (d, m)."""
    return A.T


def average_query(keys: Tensor, a: int, b: int) -> Tensor:
    """Ask for values a and b alike: keys (m, d) give a query (d,), half of the weight on each."""
    return SCALE * (keys[a] + keys[b])


def average_query_means(mu: Tensor, a: int, b: int) -> Tensor:
    """Ask the same of keys that are near the means mu (m, d)."""
    return average_query(mu, a, b)


def output_spread(
    mu: Tensor, a: int, b: int, alpha: float, beta: float, samples: int, seed: int
) -> tuple[float, float]:
    """Simulate the weight of a for the query beta (mu_a + mu_b), when its key varies in length.

    Args:
        mu: (m, d), orthonormal means of the keys.
        a: Its key has covariance alpha I + (mu_a mu_a^T)/2, every other one alpha I.
        b: The other value that is asked for.
        alpha: The variance of all keys in every direction.
        beta: Length of the query along each mean.
        samples: How many times all keys are drawn.
        seed: The same seed gives the same numbers.

    Returns:
        Mean and standard deviation of the weight of a over the samples.
    """
    keys = long_keys(mu, a, alpha, samples, seed)
    weights = weights_of(beta * (mu[a] + mu[b]), keys)[:, a]
    return weights.mean().item(), weights.std().item()


def two_head_queries(mu: Tensor, a: int, b: int, beta: float) -> tuple[Tensor, Tensor]:
    """Let one head ask for a and the other for b: two queries (d,)."""
    return beta * mu[a], beta * mu[b]


# Simulation


def near_keys(mu: Tensor, alpha: float, samples: int, seed: int) -> Tensor:
    """Draw keys (samples, m, d) around the means, with variance alpha in every direction."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, *mu.shape, generator=generator, dtype=torch.float64)
    return mu.double() + alpha**0.5 * noise


def long_keys(mu: Tensor, a: int, alpha: float, samples: int, seed: int) -> Tensor:
    """Draw the same, where the length of the key of a varies by the variance 1/2 besides."""
    keys = near_keys(mu, alpha, samples, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    stretch = 0.5**0.5 * torch.randn(samples, 1, generator=generator, dtype=torch.float64)
    keys[:, a] += stretch * mu[a].double()
    return keys


def weights_of(query: Tensor, keys: Tensor) -> Tensor:
    """Attention's weights (..., m) for a query (d,) over keys (..., m, d)."""
    return (keys.double() @ query.double()).softmax(dim=-1)


def flat(query: Tensor, keys: Tensor) -> Tensor | str:
    """A query as (d,), row or column that it may be; or the sentence that says what is wrong."""
    query = query.double().flatten()
    if query.shape != keys.shape[-1:]:
        return "A query has as many numbers as a key."
    if not query.isfinite().all():
        return "The query holds a number that is not finite."
    return query


# Whether an answer is right


def copies(result: Tensor, keys: Tensor, j: int) -> bool | str:
    """Whether more than 0.99 of the weight is at j."""
    query = flat(result, keys)
    if isinstance(query, str):
        return query
    return bool(weights_of(query, keys)[j] > CLEAR) or "The weight of value j is not near one."


def extracts(result: Tensor, A: Tensor, B: Tensor) -> bool | str:
    """Whether M takes v_a to its coordinates (m,) or to itself (d,), and v_b to zero."""
    d, m = A.shape
    if result.shape not in ((m, d), (d, d)):
        return "M takes a vector of d numbers to m coordinates, or to the vector itself."
    keeps_a = any(close(result @ A, right) for right in (torch.eye(m), A))
    if not keeps_a:
        return "M (v_a + v_b) does not give back v_a."
    return close(result @ B, torch.zeros(1)) or "M (v_a + v_b) still depends on v_b."


def close(seen: Tensor, right: Tensor) -> bool:
    """Whether all numbers are within 0.001, rounding of float32 included."""
    if seen.shape != right.shape and right.numel() > 1:
        return False
    return bool(((seen.double() - right.double()).abs() < 1e-3).all())


def averages(result: Tensor, keys: Tensor, a: int, b: int) -> bool | str:
    """Whether the weights at a and b are within 0.01 of one half."""
    query = flat(result, keys)
    if isinstance(query, str):
        return query
    near = (weights_of(query, keys)[..., [a, b]] - 0.5).abs().max() <= NEAR
    return bool(near) or "The weights of the values a and b are not both near one half."


def averages_near_means(result: Tensor, mu: Tensor, a: int, b: int) -> bool | str:
    """Whether that holds of sampled keys, with a variance that vanishes beside the query."""
    query = flat(result, mu)
    if isinstance(query, str):
        return query
    return averages(query, vanishing_keys(query, mu), a, b)


def vanishing_keys(query: Tensor, mu: Tensor) -> Tensor:
    """Keys (16, m, d) so near the means that a query's scores vary by a thousandth only."""
    return near_keys(mu, (1e-3 / max(1.0, query.norm().item())) ** 2, 16, seed=0)


def spreads_alike(
    result: tuple[float, float],
    mu: Tensor,
    a: int,
    b: int,
    alpha: float,
    beta: float,
    samples: int,
) -> bool | str:
    """Whether mean and standard deviation are the reference's, within both simulations' errors."""
    weights = weights_of(beta * (mu[a] + mu[b]), long_keys(mu, a, alpha, DRAWS, seed=0))[:, a]
    mean, std = agreement(result, weights, samples)
    if mean and std:
        return True
    if mean:
        return "The standard deviation is not that of the weight of a."
    return "The mean is not that of the weight of a."


def agreement(result: tuple[float, float], weights: Tensor, samples: int) -> tuple[bool, bool]:
    """Whether mean and standard deviation of `samples` draws could come from these weights."""
    mean, std = weights.mean(), weights.std()
    sizes = (1 / samples + 1 / len(weights)) ** 0.5
    fourth = ((weights - mean) ** 4).mean()
    of_std = ((fourth - std**4).clamp(min=0).sqrt() / (2 * std)) * sizes
    seen_mean, seen_std = result
    # The last term is for the difference between n and n - 1.
    near_std = (seen_std - std).abs() <= ERRORS * of_std + std / samples
    return bool((seen_mean - mean).abs() <= ERRORS * std * sizes), bool(near_std)


def averages_with_two_heads(
    result: tuple[Tensor, Tensor], mu: Tensor, a: int, b: int, beta: float
) -> bool | str:
    """Whether the heads' average is near (v_a + v_b)/2, and steadier than that of a single head.

    The values are taken as orthonormal, so that an output is its weights.
    """
    if len(result) != 2:
        return "Two queries are asked for, one for each head."
    queries = [flat(query, mu) for query in result]
    wrong = next((query for query in queries if isinstance(query, str)), None)
    if wrong:
        return wrong
    heads, single = two_heads(queries, mu, a), single_head(mu, a, b, beta)
    near = (heads.mean(dim=0)[[a, b]] - 0.5).abs().max() <= NEAR_OF_TWO
    if not near:
        return "The average of both heads is not near (v_a + v_b)/2."
    steady = heads[:, a].std() <= STEADIER * single[:, a].std()
    return bool(steady) or "The average of both heads varies as much as a single head's output."


def two_heads(queries: list[Tensor], mu: Tensor, a: int) -> Tensor:
    """Average weights (draws, m) of two heads over the same keys, of which a's vary in length."""
    keys = long_keys(mu, a, 1e-6, 20_000, seed=0)
    return (weights_of(queries[0], keys) + weights_of(queries[1], keys)) / 2


def single_head(mu: Tensor, a: int, b: int, beta: float) -> Tensor:
    """Weights (draws, m) of one head that asks for a and b alike."""
    return weights_of(beta * (mu[a] + mu[b]), long_keys(mu, a, 1e-6, 20_000, seed=0))
