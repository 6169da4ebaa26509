"""Ready to use: training, and asking a model."""

import torch
from torch.utils.data import DataLoader


def train(model, dataset, epochs, batch_size=64, lr=6e-4):
    """Train with AdamW; print the loss of every epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for epoch in range(epochs):
        for x, y in DataLoader(dataset, shuffle=True, batch_size=batch_size):
            _, loss = model(x, y)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")


@torch.no_grad()
def answer(model, corruption, question, longest=24):
    """Let a model write a place after the question, the most likely character each time."""
    model.eval()
    text = question + corruption.MASK_CHAR
    for _ in range(longest):
        idx = torch.tensor([[corruption.stoi[character] for character in text]])
        logits, _ = model(idx)
        text += corruption.itos[logits[0, -1].argmax().item()]
        if text[-1] in (corruption.MASK_CHAR, corruption.PAD_CHAR):
            break
    return text.split(corruption.MASK_CHAR)[1].rstrip(corruption.PAD_CHAR)
