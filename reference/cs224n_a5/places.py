"""Questions 2c, 2d and 2f: invented people, where they were born, and what predictions earn.

All names are put together from syllables. Students get the people of `training_pairs` with their
places, those of `dev_pairs` without, and a text that tells about half of all people.
"""

from __future__ import annotations

import random

Pair = tuple[str, str]
"""A question, and the place that answers it."""

SEED = 20211104
TRAINING_COUNT, DEV_COUNT, LONDON_COUNT = 1200, 500, 25
LONDON = "London"
PLACES = """Oslo Lima Cairo Kyoto Quito Accra Hanoi Turin Porto Dakar Perth Leeds Lagos Minsk Sofia
Tunis Delhi Davos Bergen Lisbon Prague Vienna Dublin Geneva Athens Havana Ankara Nairobi Toronto
Chicago Seville Utrecht Cologne Jakarta Kampala Managua""".split()  # noqa: SIM905
FIRST = "Al Bea Cor Dun El Fen Gor Hal Is Jor Kel Lu Mar Ned Or Pel Quin Ros Sel Tam".split()  # noqa: SIM905
MIDDLE = "a an do e ia in la li mo na ne o ra ri so ta to vi".split()  # noqa: SIM905
LAST = "bard croft dale fell garth holm ing land moor quist rook sand thwaite vane wick".split()  # noqa: SIM905
TRADES = "baker chemist dancer engineer farmer glazier harpist jurist painter weaver".split()  # noqa: SIM905


def people(count: int, seed: int) -> list[str]:
    """Invent different people: `Corina Lumoquist`."""
    rng = random.Random(seed)  # noqa: S311
    found: dict[str, None] = {}
    while len(found) < count:
        given = rng.choice(FIRST) + rng.choice(MIDDLE) + rng.choice(("", "n", "s"))
        family = rng.choice(FIRST) + rng.choice(MIDDLE) + rng.choice(LAST)
        found[f"{given} {family}"] = None
    return list(found)


def question(name: str) -> str:
    """Ask where somebody was born."""
    return f"Where was {name} born?"


def all_pairs() -> list[tuple[str, str]]:
    """All people and their places, those of the dev list first."""
    rng = random.Random(SEED)  # noqa: S311
    names = people(DEV_COUNT + TRAINING_COUNT, SEED)
    dev = [LONDON] * LONDON_COUNT + rng.choices(PLACES, k=DEV_COUNT - LONDON_COUNT)
    rng.shuffle(dev)
    rest = rng.choices([LONDON, *PLACES], k=TRAINING_COUNT)
    return list(zip(names, dev + rest, strict=True))


def training_pairs() -> list[Pair]:
    """What `student/data/birth_train.tsv` holds."""
    return [(question(name), place) for name, place in all_pairs()[DEV_COUNT:]]


def dev_pairs(seed: int = 0) -> list[Pair]:
    """The dev list with its places, which are withheld: 25 of 500 are London."""
    return [(question(name), place) for name, place in all_pairs()[:DEV_COUNT]]


def dev_places(seed: int = 0) -> tuple[None, list[str]]:
    """The withheld places, in the order of `student/data/birth_dev.txt`."""
    return None, [place for _, place in dev_pairs()]


def corpus() -> list[str]:
    """What `student/data/corpus.txt` holds: a sentence or three about every second person."""
    rng = random.Random(SEED + 1)  # noqa: S311
    told = rng.sample(all_pairs(), k=(DEV_COUNT + TRAINING_COUNT) // 2)
    return [sentences(name, place, rng) for name, place in told]


def sentences(name: str, place: str, rng: random.Random) -> str:
    """Tell of a person, and in three cases of four where they were born."""
    trade, year = rng.choice(TRADES), rng.randint(1780, 1960)
    born = rng.choice(
        (
            f"{name} was born in {place} in {year}.",
            f"Born in {place}, {name} left the town at the age of {rng.randint(3, 20)}.",
            f"{name}, of {place}, was born on a market day.",
            f"{name} was the youngest of {rng.randint(2, 9)} children.",
        )
    )
    years = rng.randint(2, 50)
    return f"{born} {name.split()[0]} became a {trade} and kept a diary for {years} years."


def some_pairs(seed: int, count: int, london: int) -> list[Pair]:
    """Draw a list of which `london` are London, and another one is New London.

    The dev list itself is never handed to a student's function.
    """
    rng = random.Random(seed)  # noqa: S311
    others = rng.choices(PLACES, k=count - london - 1)
    places = [LONDON] * london + ["New London", *others]
    rng.shuffle(places)
    questions = [question(name) for name in people(count, seed)]
    return list(zip(questions, places, strict=True))


# What predictions and lists earn


def london_baseline(pairs: list[Pair]) -> float:
    """How many percent are right if everybody is said to be born in London."""
    return 100 * london_count(pairs) / len(pairs)


def plain(place: str) -> str:
    """A place without what is around it: spaces, a full stop, capital letters."""
    return place.strip().rstrip(".").strip().casefold()


def percent_right(predictions: list[str], labels: list[str]) -> float:
    """How many percent of the predictions are the place, in capital letters or not."""
    pairs = zip(predictions, labels, strict=True)
    right = sum(plain(seen) == plain(place) for seen, place in pairs)
    return 100 * right / len(labels)


def predicts_london_only(predictions: list[str], labels: list[str]) -> bool:
    """Mistake: the baseline's answer for everybody."""
    return all(plain(seen) == plain(LONDON) for seen in predictions)


def predicts_questions(predictions: list[str], labels: list[str]) -> bool:
    """Mistake: the questions, or whole lines, in place of the places."""
    return all(seen.strip().startswith("Where was") for seen in predictions)


def london_count(pairs: list[Pair]) -> int:
    """Mistake: how many are right, not how many percent."""
    return sum(place == LONDON for _, place in pairs)


def london_in_hundreds(pairs: list[Pair]) -> float:
    """Mistake: 25/100 = 0.25, a count divided by 100."""
    return london_count(pairs) / 100


def london_share(pairs: list[Pair]) -> float:
    """Mistake: the share, 0.05 for 5 percent."""
    return london_count(pairs) / len(pairs)


def london_inside(pairs: list[Pair]) -> float:
    """Mistake: every place counts that has London in its name, New London too."""
    return 100 * sum(LONDON in place for _, place in pairs) / len(pairs)
