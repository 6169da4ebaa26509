"""Wrong formulas of iith_a5 that students are known to give, or are likely to.

Each is a function with the signature of the right one in `reference.py`, named for what it does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Question 3 and the ELBO of P2


def kl_of_log_variance(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: log_sigma is taken as the logarithm of the variance."""
    return 0.5 * (log_sigma.exp() + mu**2 - 1 - log_sigma).sum(dim=1)


def terms(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """What each dimension of z adds to the divergence; right by itself."""
    return 0.5 * ((2 * log_sigma).exp() + mu**2 - 1) - log_sigma


def negative_kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: the sign is flipped."""
    return -terms(mu, log_sigma).sum(dim=1)


def kl_averaged(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: a mean over the dimensions of z."""
    return terms(mu, log_sigma).mean(dim=1)


def kl_without_half(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: twice the divergence."""
    return 2 * terms(mu, log_sigma).sum(dim=1)


def kl_over_batch(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: one number for the whole batch, its mean."""
    return terms(mu, log_sigma).sum(dim=1).mean()


def kl_summed_over_batch(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: one number for the whole batch, its sum."""
    return terms(mu, log_sigma).sum()


def squares(x: Tensor, x_hat: Tensor) -> Tensor:
    """Half of the squared distance, dimension by dimension; right by itself."""
    return (x - x_hat) ** 2 / 2


def negative_elbo(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: the sign is flipped, as in a loss."""
    return squares(x, x_hat).sum(dim=1) + terms(mu, log_sigma).sum(dim=1)


def kl_alone(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: no reconstruction."""
    return terms(mu, log_sigma).sum(dim=1)


def negative_kl_alone(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: no reconstruction, with the sign that the ELBO has."""
    return -terms(mu, log_sigma).sum(dim=1)


def reconstruction_alone(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: no divergence."""
    return -squares(x, x_hat).sum(dim=1)


def elbo_with_kl_added(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: the divergence has the wrong sign."""
    return terms(mu, log_sigma).sum(dim=1) - squares(x, x_hat).sum(dim=1)


def elbo_of_means(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: means over the dimensions of x and of z."""
    return -squares(x, x_hat).mean(dim=1) - terms(mu, log_sigma).mean(dim=1)


def elbo_of_mean_reconstruction(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: a mean over the dimensions of x."""
    return -squares(x, x_hat).mean(dim=1) - terms(mu, log_sigma).sum(dim=1)


def elbo_of_mean_kl(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: a mean over the dimensions of z."""
    return -squares(x, x_hat).sum(dim=1) - terms(mu, log_sigma).mean(dim=1)


def elbo_of_log_variance(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: log_sigma is taken as the logarithm of the variance."""
    return -squares(x, x_hat).sum(dim=1) - kl_of_log_variance(mu, log_sigma)


def elbo_without_half(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: the whole squared distance."""
    return -2 * squares(x, x_hat).sum(dim=1) - terms(mu, log_sigma).sum(dim=1)


def elbo_over_batch(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: one number for the whole batch, its mean."""
    return -(squares(x, x_hat).sum(dim=1) + terms(mu, log_sigma).sum(dim=1)).mean()


def elbo_summed_over_batch(x: Tensor, x_hat: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Mistake: one number for the whole batch, its sum."""
    return -(squares(x, x_hat).sum() + terms(mu, log_sigma).sum())


# Question 4a: steps on f(p, q) = p q

Step = Callable[[int, int], tuple[int, int]]


def walk(step: Step) -> tuple[list[int], list[int]]:
    """Take six steps from (1, 1): all p, and all q."""
    path = [(1, 1)]
    for _ in range(6):
        path.append(step(*path[-1]))
    return [p for p, _ in path], [q for _, q in path]


def simultaneous(p: int, q: int) -> tuple[int, int]:
    """Mistake: both move with the old values."""
    return p - q, q + p


def p_first(p: int, q: int) -> tuple[int, int]:
    """Mistake: p goes down before q goes up."""
    return p - q, q + (p - q)


def downhill(p: int, q: int) -> tuple[int, int]:
    """Mistake: q goes down and p goes up."""
    return p + (q - p), q - p


def simultaneous_p_steps() -> list[int]:
    """Mistake: all p when both move with the old values."""
    return walk(simultaneous)[0]


def simultaneous_q_steps() -> list[int]:
    """Mistake: all q when both move with the old values."""
    return walk(simultaneous)[1]


def p_first_p_steps() -> list[int]:
    """Mistake: all p when p moves first."""
    return walk(p_first)[0]


def p_first_q_steps() -> list[int]:
    """Mistake: all q when p moves first."""
    return walk(p_first)[1]


def downhill_p_steps() -> list[int]:
    """Mistake: all p when the directions are swapped."""
    return walk(downhill)[0]


def downhill_q_steps() -> list[int]:
    """Mistake: all q when the directions are swapped."""
    return walk(downhill)[1]


# P4: planar flow


def h_prime_unsquared(x: Tensor) -> Tensor:
    """Mistake: 1 - tanh in place of 1 - tanh^2."""
    return 1 - torch.tanh(x)


def f_with_w_and_u_swapped(z: Tensor) -> Tensor:
    """Mistake: w = (3, 0) and u = (5, 0)."""
    return z + torch.tanh(3 * z[:, :1]) * torch.tensor([5.0, 0.0], dtype=z.dtype)


def f_without_z(z: Tensor) -> Tensor:
    """Mistake: z itself is left out."""
    return torch.tanh(5 * z[:, :1]) * torch.tensor([3.0, 0.0], dtype=z.dtype)


def det_without_one(z: Tensor) -> Tensor:
    """Mistake: the identity is left out."""
    return 15 * (1 - torch.tanh(5 * z[:, 0]) ** 2)


def det_without_w(z: Tensor) -> Tensor:
    """Mistake: the chain rule's w is left out."""
    return 1 + 3 * (1 - torch.tanh(5 * z[:, 0]) ** 2)


def det_unsquared(z: Tensor) -> Tensor:
    """Mistake: 1 - tanh for the derivative of tanh."""
    return 1 + 15 * (1 - torch.tanh(5 * z[:, 0]))


def det_of_h(z: Tensor) -> Tensor:
    """Mistake: h where its derivative belongs."""
    return (1 + 15 * torch.tanh(5 * z[:, 0])).abs()
