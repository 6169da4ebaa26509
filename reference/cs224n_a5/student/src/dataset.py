"""Data. NameDataset is ready; write CharCorruptionDataset.__getitem__ for 2e."""

import random

import torch
from torch.utils.data import Dataset


class CharCorruptionDataset(Dataset):
    """Documents, one a line, with a span of each one masked.

    An item is made like this:

    1. Take document idx, and cut it at the end: keep a random number of characters, at least 4 and
       at most int(block_size * 7/8) (and never more than there are).
    2. Choose a random span in the middle of what is kept, a quarter of it on average. That makes
       prefix, masked span and suffix.
    3. Put together: prefix, MASK_CHAR, suffix, MASK_CHAR, masked span, then as many PAD_CHAR as make
       block_size characters.
    4. As numbers, by stoi, x is this without the last character, and y without the first.

    An empty document must not be an error.
    """

    MASK_CHAR = "\u2047"
    PAD_CHAR = "\u25a1"

    def __init__(self, data, block_size):
        characters = [self.PAD_CHAR, self.MASK_CHAR, *sorted(set(data))]
        self.stoi = {character: number for number, character in enumerate(characters)}
        self.itos = dict(enumerate(characters))
        self.vocab_size = len(characters)
        self.block_size = block_size
        self.data = data.split("\n")

    def __len__(self):
        return len(self.data)

    def __getitem__(self, idx):
        ...  # your code


class NameDataset(Dataset):
    """Questions and places for fine-tuning: the loss counts the place and what ends it, no more."""

    def __init__(self, pretraining, data):
        self.corruption = pretraining
        self.lines = [line for line in data.split("\n") if "\t" in line]

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, idx):
        mask, pad = self.corruption.MASK_CHAR, self.corruption.PAD_CHAR
        asked, place = self.lines[idx].split("\t")
        text = f"{asked}{mask}{place}{mask}".ljust(self.corruption.block_size, pad)
        wanted = pad * len(asked) + text[len(asked) + 1 :]
        numbers = self.corruption.stoi
        x = torch.tensor([numbers[character] for character in text[:-1]])
        y = torch.tensor([numbers[character] for character in wanted])
        return x, y
