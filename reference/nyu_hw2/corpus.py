"""Short reviews with a sentiment, made up by rules.

A review is a clause, or two that agree or disagree, among remarks that say nothing. What decides is
the main clause: after "but", outside of "although". Clauses may be negated ("not exactly great").
So counting words is right in about 80 of 100, and reading them in order in more. One label in
twenty is wrong, as in real data, so nobody can be right in more than 95 of 100.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

WRONG_LABELS = 0.05

THINGS = (
    *("acting", "ending", "plot", "music", "dialogue", "camera work", "first half", "cast"),
    *("soup", "service", "waiter", "dessert", "menu", "bread", "fish", "wine list"),
    *("room", "breakfast", "view", "bed", "staff", "pool", "lobby", "shower"),
    *("screen", "battery", "keyboard", "sound", "design", "manual", "charger", "case"),
    *("writing", "hero", "translation", "opening chapter", "cover", "humour", "twist"),
)
GOOD = (
    *("great", "good", "wonderful", "lovely", "charming", "superb", "delightful", "excellent"),
    *("clever", "fresh", "memorable", "brilliant", "solid", "impressive", "worth the money"),
    *("a joy", "a triumph", "better than expected", "flawless", "a pleasant surprise"),
)
BAD = (
    *("bad", "awful", "dull", "terrible", "clumsy", "poor", "boring", "dreadful"),
    *("tired", "stale", "forgettable", "sloppy", "cheap", "annoying", "a waste of money"),
    *("a mess", "a letdown", "worse than expected", "painful", "a chore"),
)
LIKED = ("loved", "enjoyed", "adored", "liked", "admired", "was thrilled by")
DISLIKED = ("hated", "disliked", "regretted", "resented", "was bored by", "was let down by")
DEGREE = ("", "", "", "really ", "simply ", "frankly ", "honestly ")
NOT = ("was not", "wasn't", "was hardly", "was never", "was anything but", "was far from")
REMARKS = (
    *("we went on a tuesday", "it was raining outside", "my cousin had told me about it"),
    *("i paid with a voucher", "it took about two hours", "this was my second try"),
    *("we came with the whole family", "i had no time to read about it before"),
    *("it arrived in a brown box", "the place was half empty", "i am writing this on the train"),
    *("it costs what they all cost", "we had a reservation", "i got it for my birthday"),
)


def clause(draw: random.Random, positive: bool) -> str:
    """Say of one thing that it was good, or bad."""
    thing = draw.choice(THINGS)
    good = draw.choice(GOOD if positive else BAD)
    bad = draw.choice(BAD if positive else GOOD)
    degree = draw.choice(DEGREE)
    liked = draw.choice(LIKED if positive else DISLIKED)
    forms = (
        f"the {thing} was {degree}{good}",
        f"the {thing} was {degree}{good}",
        f"the {thing} was {degree}{good}",
        f"i found the {thing} {degree}{good}",
        f"the {thing}? {good}",
        f"i {degree}{liked} the {thing}",
        f"i {degree}{liked} the {thing}",
        f"i {degree}{liked} the {thing}",
        f"the {thing} {draw.choice(NOT)} {bad}",
    )
    return draw.choice(forms)


def review(draw: random.Random, positive: bool) -> str:
    """Write one review whose main clause is good, or bad."""
    main, same = clause(draw, positive), clause(draw, positive)
    other = clause(draw, not positive)
    body = draw.choice(
        (
            main,
            main,
            main,
            f"{main} and {same}",
            f"{main}, and {same}",
            f"{main}. {same}",
            draw.choice((f"{other}, but {main}", f"although {other}, {main}")),
        )
    )
    if draw.random() < 0.2:
        body = f"{draw.choice(REMARKS)}, and {body}"
    if draw.random() < 0.2:
        body = f"{body}. {draw.choice(REMARKS)}"
    return f"{body}."


def reviews(count: int, seed: int) -> tuple[list[str], Tensor]:
    """Write reviews, as many good ones as bad ones by chance.

    Args:
        count: How many.
        seed: The same seed gives the same reviews.

    Returns:
        The sentences, and labels (count,) int64: 1 is positive, 0 negative.
    """
    draw = random.Random(seed)  # noqa: S311
    sentences: list[str] = []
    labels: list[int] = []
    for _ in range(count):
        positive = draw.random() < 0.5
        sentences.append(review(draw, positive))
        labels.append(int(positive != (draw.random() < WRONG_LABELS)))
    return sentences, torch.tensor(labels)
