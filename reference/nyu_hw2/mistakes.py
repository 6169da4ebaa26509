"""Wrong answers of nyu_hw2 that students are known to give, or are likely to.

Each is a function with the signature of the right one in `reference.py`, named for what it does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SHARPNESS = 1000

# Question 1: the recurrence h_t = x_t - h_{t-1}


def rnn_output_adding_the_state(x: Tensor) -> float:
    """Mistake: h_t = x_t + h_{t-1}, so that all inputs enter with a plus."""
    return torch.sigmoid(SHARPNESS * x.sum().double()).item()


def rnn_output_with_the_sign_reversed(x: Tensor) -> float:
    """Mistake: h_t = h_{t-1} - x_t ends in the odd-numbered inputs having the plus."""
    return torch.sigmoid(SHARPNESS * (x[0::2].sum() - x[1::2].sum()).double()).item()


def rnn_output_of_the_last_two(x: Tensor) -> float:
    """Mistake: h_{t-1} is taken to be x_{t-1}, so only the last two inputs count."""
    return torch.sigmoid(SHARPNESS * (x[-1] - x[-2]).double()).item()


def rnn_output_without_the_sigmoid(x: Tensor) -> float:
    """Mistake: the last hidden state is returned, not what the output unit makes of it."""
    return (x[1::2].sum() - x[0::2].sum()).double().item()


def rnn_output_with_a_soft_sigmoid(x: Tensor) -> float:
    """Mistake: the weight of 1000 before the output unit is left out."""
    return torch.sigmoid((x[1::2].sum() - x[0::2].sum()).double()).item()


def rnn_output_that_overflows(x: Tensor) -> float:
    """Mistake: 1 / (1 + exp(-1000 h)) by `math.exp`, which raises where h is negative."""
    return 1 / (1 + math.exp(-SHARPNESS * (x[1::2].sum() - x[0::2].sum())))


def rnn_output_as_a_decision(x: Tensor) -> bool:
    """No mistake of substance: the decision as True or False."""
    return bool(x[1::2].sum() > x[0::2].sum())


def rnn_output_in_a_tensor(x: Tensor) -> Tensor:
    """No mistake of substance: the output as a tensor of one number, (1,)."""
    return torch.sigmoid(SHARPNESS * (x[1::2].sum() - x[0::2].sum()).double())[None]


# Question 2b: self-attention without weights


def self_attention_scaled(x: Tensor) -> Tensor:
    """Mistake: the scores are divided by sqrt(d), which this question leaves out."""
    scores = x @ x.T / x.shape[1] ** 0.5
    return scores.softmax(dim=1) @ x


def self_attention_softmax_over_queries(x: Tensor) -> Tensor:
    """Mistake: the weights of each key over all queries sum to one."""
    return (x @ x.T).softmax(dim=0) @ x


def self_attention_without_softmax(x: Tensor) -> Tensor:
    """Mistake: the dot products themselves are the weights."""
    return x @ x.T @ x


def self_attention_normalised_by_the_sum(x: Tensor) -> Tensor:
    """Mistake: the dot products are divided by their sum; no exponential is taken."""
    scores = x @ x.T
    return scores / scores.sum(dim=1, keepdim=True) @ x


# Question 3: linear attention


def linear_attention_with_a_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: ordinary attention, whose weights are exponentials of q.k."""
    return (q @ k.T).softmax(dim=1) @ v


def linear_attention_with_a_scaled_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: ordinary attention, scores divided by sqrt(d)."""
    return (q @ k.T / q.shape[1] ** 0.5).softmax(dim=1) @ v


def linear_attention_unnormalised(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: the weights are q.k and do not sum to one."""
    return q @ (k.T @ v)


def linear_attention_divided_by_the_length(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: the weights are q.k / T and do not sum to one."""
    return q @ (k.T @ v) / len(k)


def linear_attention_normalised_over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: q.k is divided by the sum over the queries, not over the keys."""
    return q @ ((k / (k @ q.sum(dim=0))[:, None]).T @ v)


def linear_attention_looking_back_only(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: running sums, with which a token sees only itself and what came before it."""
    gathered = (k[:, :, None] * v[:, None, :]).cumsum(dim=0)
    total = (q * k.cumsum(dim=0)).sum(dim=1, keepdim=True)
    return torch.einsum("td,tde->te", q, gathered) / total


def linear_attention_with_a_feature_map(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mistake: elu(q) + 1 and elu(k) + 1 in place of q and k, as Katharopoulos et al. 2020 have."""
    q, k = nn.functional.elu(q) + 1, nn.functional.elu(k) + 1
    return q @ (k.T @ v) / (q @ k.sum(dim=0))[:, None]
