"""Question 2e: span corruption of documents, and whether items of a dataset are made that way.

An item holds the characters of `prefix MASK suffix MASK masked PAD...`, `block_size` of them, as x
without the last and y without the first. The version of 2021 to 2023: prefix, masked span and
suffix together are the first 4 to int(block_size * 7/8) characters of the document.

Source: Raffel et al. 2019, section 3.1.4, in the form of CS224N's assignment 5.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

MASK_CHAR = "\u2047"
PAD_CHAR = "\u25a1"
UNKNOWN = "\ufffd"
SHORTEST = 4
#: Bounds for the masked share of many items: a quarter, and what rounding may make of it.
LEAST_SHARE, MOST_SHARE = 0.17, 0.33
WRONG_SHARE = "The masked span is not a quarter of the kept text on average."

Item = tuple[Tensor, Tensor]
Items = list[Item]

DOCUMENTS = (
    "In the year of the great frost a clockmaker from the harbour town walked across the bay, so "
    "they say, with a bell on his back that nobody had ordered and that has rung ever since.",
    "Salt, rope, lamp oil and forty yards of good canvas.",
    "The lighthouse keeper wrote down every ship: her name, her flag, the wind of the day, and "
    "whether somebody aboard had waved.",
    "",
    "ox",
)


def documents(seed: int) -> str:
    """The documents, one a line: long, short, long, empty, and of two characters."""
    return "\n".join(DOCUMENTS)


def vocabulary(data: str) -> list[str]:
    """The characters of a text by their numbers: the padding, the mask, and all others sorted."""
    return [PAD_CHAR, MASK_CHAR, *sorted(set(data))]


def vocabularies(data: str) -> list[list[str]]:
    """That, and other orders that students choose who number the characters themselves."""
    special = [PAD_CHAR, MASK_CHAR]
    texts = [sorted(set(data)), sorted(set(data) - {"\n"})]
    orders = [(special, text) for text in texts] + [(special[::-1], text) for text in texts]
    return [[*a, *b] for a, b in orders] + [[*b, *a] for a, b in orders]


class CharCorruptionDataset:
    """Documents, each cut to a random length with a random span masked.

    Args:
        data: The documents, one a line.
        block_size: Characters of an item.
    """

    def __init__(self, data: str, block_size: int) -> None:
        """Number the characters."""
        self.itos = dict(enumerate(vocabulary(data)))
        self.stoi = {character: number for number, character in self.itos.items()}
        self.block_size = block_size
        self.data = data.split("\n")

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.data)

    def __getitem__(self, idx: int) -> Item:
        """Corrupt a document anew: x and y, (block_size - 1,) int64 each."""
        text = self.corrupted(self.data[idx])
        numbers = torch.tensor([self.stoi[character] for character in text])
        return numbers[:-1], numbers[1:]

    def corrupted(self, document: str) -> str:
        """Cut, mask and fill up a document: `block_size` characters."""
        kept = document[: random.randint(SHORTEST, self.block_size * 7 // 8)]  # noqa: S311
        span = random.randint(0, len(kept) // 2)  # noqa: S311
        start = random.randint(0, len(kept) - span)  # noqa: S311
        prefix, masked, suffix = kept[:start], kept[start : start + span], kept[start + span :]
        text = f"{prefix}{MASK_CHAR}{suffix}{MASK_CHAR}{masked}"
        return text.ljust(self.block_size, PAD_CHAR)


# Whether items are right


@dataclass(frozen=True, slots=True)
class Parts:
    """What an item was put together from."""

    prefix: str
    suffix: str
    masked: str

    @property
    def kept(self) -> str:
        """The document as far as it was kept."""
        return self.prefix + self.masked + self.suffix


def text_of(x: Tensor, y: Tensor, names: list[str]) -> str:
    """The characters of an item, by their numbers."""
    numbers = [*x.flatten().tolist(), *y.flatten()[-1:].tolist()]
    return "".join(names[int(n)] if 0 <= n < len(names) else UNKNOWN for n in numbers)


def parts_of(text: str) -> Parts | str:
    """Take an item apart; a sentence where it has not the form that is asked."""
    filled = text.rstrip(PAD_CHAR)
    if PAD_CHAR in filled:
        return "Padding stands in the middle; it only fills up the end."
    pieces = filled.split(MASK_CHAR)
    if len(pieces) != 3:
        return "An item has two MASKs: after the prefix, and before the masked span."
    return Parts(*pieces)


def all_parts(items: Items, names: list[str]) -> list[Parts]:
    """What items were put together from; without those that have another form."""
    found = [parts_of(text_of(x, y, names)) for x, y in items]
    return [parts for parts in found if isinstance(parts, Parts)]


def bounds(document: str, block_size: int) -> tuple[int, int]:
    """The fewest and the most characters that may be kept of a document."""
    return min(SHORTEST, len(document)), min(block_size * 7 // 8, len(document))


def corrupts(result: Items, data: str, block_size: int, idx: int) -> bool | str:
    """Whether many items of one document are right, each by itself and all together."""
    document = data.split("\n")[idx]
    found = [wrong_items(result, document, names, block_size) for names in vocabularies(data)]
    return "" in found or found[0]


def wrong_items(items: Items, document: str, names: list[str], block_size: int) -> str:
    """What is wrong with items whose characters have these numbers; empty when nothing is."""
    wrong = (wrong_item(item, document, names, block_size) for item in items)
    says = next((one for one in wrong if one), "")
    return says or wrong_as_many(all_parts(items, names), document, block_size)


def wrong_item(item: Item, document: str, names: list[str], block_size: int) -> str:
    """What is wrong with one item; empty when nothing is."""
    x, y = item
    if x.shape != (block_size - 1,) or y.shape != (block_size - 1,):
        return "x and y must have block_size - 1 tokens each."
    if not torch.equal(x[1:], y[:-1]):
        return "y is not x one place further on."
    parts = parts_of(text_of(x, y, names))
    if isinstance(parts, str):
        return parts
    if not document.startswith(parts.kept):
        return "Prefix, masked span and suffix do not make the beginning of the document."
    fewest, most = bounds(document, block_size)
    if not fewest <= len(parts.kept) <= most:
        return "The document is not cut to between 4 and int(block_size * 7/8) characters."
    return ""


def wrong_as_many(items: list[Parts], document: str, block_size: int) -> str:
    """What is wrong with the lengths and places of many items; empty when nothing is."""
    fewest, most = bounds(document, block_size)
    # Hundreds of draws from dozens of lengths: far more than a quarter of them occur.
    if len({len(parts.kept) for parts in items}) < (most - fewest + 1) / 4:
        return "The document is cut to the same few lengths; the length is random."
    if not any(parts.prefix and parts.suffix for parts in items):
        return "The masked span is never in the middle, with text before and after it."
    if len({len(parts.prefix) for parts in items}) < 3:
        return "The masked span begins at the same place; it is a random one."
    share = sum(len(p.masked) for p in items) / max(1, sum(len(p.kept) for p in items))
    if not LEAST_SHARE <= share <= MOST_SHARE:
        return WRONG_SHARE
    return ""


def gives_items(result: Items, block_size: int) -> bool | str:
    """Whether all items have the right length, whatever is in them."""
    right = all(len(x) == len(y) == block_size - 1 for x, y in result)
    return right or "x and y must have block_size - 1 tokens each."


def gives_pairs(result: Items) -> bool | str:
    """Whether all items are two rows of one length; that they stay the same is seen elsewhere."""
    right = all(len(item) == 2 and len(item[0]) == len(item[1]) > 1 for item in result)
    return right or "x and y must be two rows of the same length."


# Known mistakes


def corrupts_unshifted(result: Items) -> bool:
    """Mistake: x and y are the same."""
    return all(torch.equal(x, y) for x, y in result)


def corrupts_inner_text(result: Items, data: str, block_size: int, idx: int) -> bool:
    """Mistake: the kept text is any part of the document, and not always its beginning."""
    parts, document = all_parts(result, vocabulary(data)), data.split("\n")[idx]
    inner = all(one.kept in document for one in parts) and len(parts) == len(result)
    return inner and not all(document.startswith(one.kept) for one in parts)


def corrupts_whole_documents(result: Items, data: str) -> bool:
    """Mistake: the document is not cut, or always to the same length."""
    return len({len(one.kept) for one in all_parts(result, vocabulary(data))}) == 1


def corrupts_to_block_size(result: Items, block_size: int) -> bool:
    """Mistake of the later sheets: x and y have block_size tokens."""
    return all(len(x) == len(y) == block_size for x, y in result)


def corrupts_with_span_inside(result: Items, data: str, idx: int) -> bool:
    """Mistake: prefix MASK masked MASK suffix, with the span where it was."""
    parts, document = all_parts(result, vocabulary(data)), data.split("\n")[idx]
    # What stands second is called the suffix: read in the order in which they stand.
    in_place = all(document.startswith(one.prefix + one.suffix + one.masked) for one in parts)
    is_inside = any(one.suffix and one.masked for one in parts)  # or else it was at the end
    return is_inside and in_place and len(parts) == len(result)


def corrupts_with_one_mask(result: Items, data: str) -> bool:
    """Mistake: a single MASK, so nothing tells the suffix from the masked span."""
    return all(text_of(x, y, vocabulary(data)).count(MASK_CHAR) == 1 for x, y in result)


def corrupts_with_third_mask(result: Items, data: str) -> bool:
    """Mistake: the format of the later sheets, with a MASK at the end."""
    return all(text_of(x, y, vocabulary(data)).count(MASK_CHAR) == 3 for x, y in result)


def corrupts_too_much(result: Items, data: str) -> bool:
    """Mistake: half of the kept text or more is masked on average."""
    parts = all_parts(result, vocabulary(data))
    kept = sum(len(one.kept) for one in parts)
    return kept > 0 and sum(len(one.masked) for one in parts) / kept > 0.45


def corrupts_by_another_share(result: Items, data: str, block_size: int, idx: int) -> bool:
    """Mistake: all is right but the share that is masked, which is no quarter, nor nothing."""
    document, names = data.split("\n")[idx], vocabulary(data)
    if any(wrong_item(item, document, names, block_size) for item in result):
        return False
    parts = all_parts(result, names)
    masks = sum(bool(one.masked) for one in parts) > len(parts) / 2
    return masks and wrong_as_many(parts, document, block_size) == WRONG_SHARE
