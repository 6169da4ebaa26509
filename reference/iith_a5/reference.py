"""What is right in iith_a5: queries, the ELBO, and what comes from `networks.py` and `flow.py`.

Plain torch, written to be read beside the handout. Known wrong answers lie in `mistakes.py` and
`mistaken_networks.py`; the rubric refers to all of them by name. A predicate, which the rubric
names under `holds`, gets what a student's code returned, and what it was given where it asks for
that; it returns True, or False, or the sentence that a student reads.

Source: IIT Hyderabad, deep learning, assignment 5 (2021), in the names that our template gives.
"""

# ruff: noqa: F401 - what is imported here is for the rubric

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .flow import (
    abs_det_jacobian,
    f,
    h,
    h_prime,
    is_abs_det_jacobian,
    is_det_of_h,
    is_det_unsquared,
    is_det_without_one,
    is_det_without_w,
    q0_mean,
    q0_std,
    q1_mean,
    q1_mean_multiplied,
    q1_std,
    q1_std_multiplied,
)
from .mistaken_networks import (
    decoder_of_listed_words,
    decoder_of_padded_scores,
    decoder_that_forgets,
    decoder_that_repeats_features,
    decoder_that_squeezes,
    decoder_without_features,
    decoder_without_packing,
    layer_with_norm_first,
    layer_with_norms_swapped,
    layer_without_first_relu,
    layer_without_masks,
    layer_without_padding_mask,
    layer_without_relu,
    layer_without_residuals,
    layer_without_second_relu,
    narrow_layer,
    network_with_sigmoid,
    network_without_last_relu,
    network_without_relu,
)
from .mistakes import (
    downhill_p_steps,
    downhill_q_steps,
    elbo_of_log_variance,
    elbo_of_mean_kl,
    elbo_of_mean_reconstruction,
    elbo_of_means,
    elbo_over_batch,
    elbo_summed_over_batch,
    elbo_with_kl_added,
    elbo_without_half,
    f_with_w_and_u_swapped,
    f_without_z,
    h_prime_unsquared,
    kl_alone,
    kl_averaged,
    kl_of_log_variance,
    kl_over_batch,
    kl_summed_over_batch,
    kl_without_half,
    negative_elbo,
    negative_kl,
    negative_kl_alone,
    p_first_p_steps,
    p_first_q_steps,
    reconstruction_alone,
    simultaneous_p_steps,
    simultaneous_q_steps,
)
from .networks import VAE, CustomEncoderLayer, Decoder, DecoderRNN, Encoder, EncoderCNN

SCALE = 50.0
CLEAR = 0.99
NEAR = 0.01

# Question 2: queries for orthonormal keys


def copy_query(keys: Tensor, j: int) -> Tensor:
    """Ask for value j: keys (m, d) give a query (d,) whose softmax is nearly all at j."""
    return SCALE * keys[j]


def average_query(keys: Tensor, a: int, b: int) -> Tensor:
    """Ask for values a and b alike: keys (m, d) give a query (d,), half of the weight on each."""
    return SCALE * (keys[a] + keys[b])


def exact_keys(seed: int, m: int, d: int) -> Tensor:
    """Draw orthonormal rows (m, d) whose products have no rounding, however long a query is."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    rows = torch.block_diag(*[signs / 2] * (d // 4), *[torch.ones(1, 1)] * (d % 4))
    return rows[torch.randperm(d, generator=generator)[:m]]


def weights_of(query: Tensor, keys: Tensor) -> Tensor | str:
    """Attention's weights over m keys, or what is wrong with a query: a sentence."""
    flat = query.double().flatten()
    if flat.shape != keys.shape[1:]:
        return "A query has as many numbers as a key."
    if not flat.isfinite().all():
        return "The query holds a number that is not finite."
    return (keys.double() @ flat).softmax(dim=0)


def copies(query: Tensor, keys: Tensor, j: int) -> bool | str:
    """Whether more than 0.99 of the weight is at j."""
    weights = weights_of(query, keys)
    if isinstance(weights, str):
        return weights
    return bool(weights[j] > CLEAR) or "The weight of value j is not near one."


def copies_another(query: Tensor, keys: Tensor, j: int) -> bool:
    """Mistake: the weight is at another value."""
    weights = weights_of(query, keys)
    return not isinstance(weights, str) and bool(weights.max() > CLEAR and weights.argmax() != j)


def copies_with_short_query(query: Tensor, keys: Tensor, j: int) -> bool:
    """Mistake: the key itself, or not many times it."""
    return _is_short(query, keys, {j})


def averages(query: Tensor, keys: Tensor, a: int, b: int) -> bool | str:
    """Whether the weights at a and b are within 0.01 of one half."""
    weights = weights_of(query, keys)
    if isinstance(weights, str):
        return weights
    near = (weights[[a, b]] - 0.5).abs().max() <= NEAR
    return bool(near) or "The weights of the values a and b are not both near one half."


def averages_one_only(query: Tensor, keys: Tensor, a: int, b: int) -> bool:
    """Mistake: all of the weight is at one of both."""
    weights = weights_of(query, keys)
    return not isinstance(weights, str) and bool(weights[[a, b]].max() > CLEAR)


def averages_with_short_query(query: Tensor, keys: Tensor, a: int, b: int) -> bool:
    """Mistake: the sum or the mean of both keys, or not many times it."""
    return _is_short(query, keys, {a, b})


def _is_short(query: Tensor, keys: Tensor, wanted: set[int]) -> bool:
    """Whether the wanted keys have the most weight and share it evenly, but others have some."""
    weights = weights_of(query, keys)
    if isinstance(weights, str):
        return False
    inside = weights[sorted(wanted)]
    outside = weights[[i for i in range(len(keys)) if i not in wanted]]
    even = inside.max() - inside.min() < 1e-4
    return bool(even and inside.min() > outside.max() + 1e-4)


# Question 3 and the ELBO of P2


def gaussian_kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Divergence of normal(mu, sigma) from normal(0, 1), summed over dimensions, in nats.

    Args:
        mu: (batch, dimensions).
        log_sigma: (batch, dimensions), the logarithm of the standard deviation.

    Returns:
        (batch,).

    Source: Kingma and Welling 2014, appendix B.
    """
    return (((2 * log_sigma).exp() + mu**2 - 1) / 2 - log_sigma).sum(dim=1)


def elbo(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Evidence lower bound, up to a constant, for one draw of z: (batch,), in nats.

    Args:
        x: (batch, D), the data.
        x_hat: (batch, D), the mean of a normal distribution of variance one.
        mu: (batch, dimensions of z).
        log_sigma: Likewise.
    """
    return -((x - x_hat) ** 2).sum(dim=1) / 2 - gaussian_kl(mu, log_sigma)


# P1 to P3: what is known of networks beyond their outputs


def drops_the_last_layer(parameters: Mapping[str, Sequence[int]]) -> bool | str:
    """Whether `linear` reads what the backbone finds, not its scores of a thousand classes."""
    if "linear.weight" not in parameters:
        return "There is no layer linear."
    read = parameters["linear.weight"][-1]
    return read != 1000 or "The backbone still has its last layer, which scores 1000 classes."


def has_seven_words(outputs: Sequence[Any], inputs: Sequence[Mapping[str, Any]]) -> bool | str:
    """Whether a sample has max_seq_length = 7 words for each item, in a tensor or in lists."""
    each = _numbers(outputs[0]) / len(inputs[0]["features"])
    if each == 7:
        return True
    if each == 20:
        return "Always 20 words come out; max_seq_length says how many."
    return "The words are not max_seq_length for each item."


def _numbers(words: Any) -> int:
    """How many numbers there are in a tensor, in an array, or in lists of them."""
    if isinstance(words, list | tuple):
        return sum(map(_numbers, words))
    return math.prod(words.shape) if hasattr(words, "shape") else 1


def pictures(seed: int, batch: int) -> Tensor:
    """Draw pictures (batch, 3, 32, 32) that differ in colour, so that no feature stays the same."""
    generator = torch.Generator().manual_seed(seed)
    colours = 3 * torch.randn(batch, 3, 1, 1, generator=generator)
    return colours + torch.randn(batch, 3, 32, 32, generator=generator)


def is_normalised(outputs: Sequence[Any]) -> bool | str:
    """Whether each feature has mean zero over the batch, as after batch norm, and does vary.

    Its spread is one only where it was far above the batch norm's epsilon before.
    """
    features = outputs[0]
    if not isinstance(features, Tensor) or features.ndim != 2:
        return "The features are not a tensor (batch, embed_size)."
    features = features.double()
    means, spreads = features.mean(dim=0), features.std(dim=0, correction=0)
    if (means.abs() < 1e-3 * spreads).all():
        return True
    if features.min() == 0:
        return "The features are cut off at zero; nothing follows bn."
    return "The features are not normalised; they go through linear, then through bn."


NOISED = 100.0
PER_Z = math.sqrt(8)


def spreads_by_sigma(outputs: Sequence[Any], inputs: Sequence[Mapping[str, Any]]) -> bool | str:
    """Whether 100 + the sum of eight z, all normal(0, exp(0.5)), spreads as it has to."""
    x_hat = outputs[0]
    if not isinstance(x_hat, Tensor) or x_hat.shape != inputs[0]["x"].shape:
        return "The reconstruction, in the shape of x, has to be returned, first if not alone."
    moved = x_hat.double() - NOISED
    spread, middle = moved.std(dim=0).mean().item() / PER_Z, moved.mean().item() / PER_Z
    if not abs(middle) < 10:
        return "The outputs do not follow z, so that its noise cannot be seen: look at the decoder."
    if spread < 0.01:
        return _said_of_still(moved)
    if abs(middle) > 0.15:
        return "The noise in z does not have mean zero."
    return _said_of(spread)


def _said_of_still(moved: Tensor) -> str:
    """What is wrong where no item differs from the others."""
    if moved.abs().max() < 0.01:
        return "There is no noise in z; it is mu + sigma * noise."
    return "All items of a batch get the same noise, or none; each needs its own."


def _said_of(spread: float) -> bool | str:
    """Whether z spreads as sigma says; all spreads are known to one part in a hundred."""
    if abs(spread - math.exp(0.5)) < 0.1:
        return True
    if abs(spread - math.exp(0.25)) < 0.06:
        return "log_sigma is read as a log variance; sigma is exp(log_sigma)."
    if abs(spread - 0.5) < 0.02:
        return "sigma is exp(log_sigma), not log_sigma itself."
    return "The noise in z has another spread than sigma = exp(log_sigma)."


def later_tokens(seed: int, n: int) -> Tensor:
    """Mark what a token may not look at: (n, n) bool, True at every later one."""
    return torch.ones(n, n).triu(1).bool()


def padding(seed: int, batch: int, n: int) -> Tensor:
    """Mark padding at the end: (batch, n) bool, True at the last i places of item i."""
    return torch.arange(n) >= n - torch.arange(batch)[:, None]
