"""Data. NameDataset is ready; write CharCorruptionDataset.__getitem__ for 2e."""

import random

import torch
from torch.utils.data import Dataset


class CharCorruptionDataset(Dataset):
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
        document = self.data[idx]
        kept = document[: random.randint(4, int(self.block_size * 7 / 8))]
        length = random.randint(0, len(kept) // 2)
        start = random.randint(0, len(kept) - length)
        prefix, masked, suffix = kept[:start], kept[start : start + length], kept[start + length :]
        text = prefix + self.MASK_CHAR + suffix + self.MASK_CHAR + masked
        text += self.PAD_CHAR * (self.block_size - len(text))
        numbers = torch.tensor([self.stoi[character] for character in text])
        return numbers[:-1], numbers[1:]


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
