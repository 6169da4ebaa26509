import importlib.util
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from grader.reference import Reference

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "reference" / "cs224n_a5"
STUDENT = HOME / "student"
SAMPLES = ROOT / "submissions" / "cs224n_a5"
STATUSES = {"complete", "time_limit", "memory_limit", "kernel_died", "unreadable", "missing"}
SHEET = {"vocab_size": 256, "block_size": 128, "n_layer": 4, "n_head": 8, "n_embd": 256}
SMALL = {"vocab_size": 7, "block_size": 6, "n_layer": 3, "n_head": 2, "n_embd": 8}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    random.seed(5)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return Reference(HOME / "reference.py").module


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    return module_at(ROOT / "scripts" / "make_samples.py")


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tested_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def part(reference: ModuleType, name: str) -> ModuleType:
    """A file of the reference, for what its rubric does not name."""
    return sys.modules[f"{reference.__name__}.{name}"]


# Question 1


@pytest.fixture
def mu(reference: ModuleType) -> Tensor:
    means: Tensor = reference.exact_means(3, 4, 8)
    return means


@pytest.mark.parametrize(("m", "d"), [(3, 3), (3, 4), (4, 9), (16, 16)])
def test_the_drawn_means_are_orthonormal_without_any_rounding(
    reference: ModuleType, m: int, d: int
) -> None:
    means = reference.exact_means(0, m, d)
    assert torch.equal(means @ means.T, torch.eye(m))


def test_the_drawn_bases_are_orthonormal_and_at_right_angles(reference: ModuleType) -> None:
    a, b = reference.first_basis(1, 8, 3), reference.second_basis(2, 8, 5)
    torch.testing.assert_close(a.T @ a, torch.eye(3))
    torch.testing.assert_close(b.T @ b, torch.eye(5))
    torch.testing.assert_close(a.T @ b, torch.zeros(3, 5))


@pytest.mark.parametrize("scale", [20.0, 1e3, 1e6])
@pytest.mark.parametrize("shape", [(-1,), (1, -1), (-1, 1)])
def test_a_query_may_have_any_length_and_be_a_row_or_a_column(
    reference: ModuleType, mu: Tensor, scale: float, shape: tuple[int, ...]
) -> None:
    both = scale * (mu[0] + mu[2]).reshape(shape)
    assert reference.copies(scale * mu[1].reshape(shape), mu, 1) is True
    assert reference.averages(both, mu, 0, 2) is True
    assert reference.averages_near_means(both, mu, 0, 2) is True


def test_wrong_queries_are_told_apart(reference: ModuleType, mu: Tensor) -> None:
    short, one = mu[0] + mu[2], 100 * mu[0]
    assert reference.copies(mu[1], mu, 1) == "The weight of value j is not near one."
    assert reference.copies_with_short_query(mu[1], mu, 1)
    assert not reference.copies_with_short_query(100 * mu[2], mu, 1)
    assert reference.copies_another(100 * mu[2], mu, 1)
    for query in (short, one):
        assert reference.averages(query, mu, 0, 2) is not True
        assert reference.averages_near_means(query, mu, 0, 2) is not True
    assert reference.averages_with_short_query(short, mu, 0, 2)
    assert reference.averages_one_only(one, mu, 0, 2)
    assert not reference.averages_with_short_query(one, mu, 0, 2)
    assert reference.averages_means_with_short_query(short, mu, 0, 2)
    assert reference.averages_one_mean_only(one, mu, 0, 2)


def test_an_extractor_may_give_coordinates_or_the_vector_itself(reference: ModuleType) -> None:
    a, b = reference.first_basis(1, 8, 3), reference.second_basis(2, 8, 5)
    assert reference.extracts(reference.extractor(a, b), a, b) is True
    assert reference.extracts(a @ a.T, a, b) is True
    assert reference.extracts(torch.linalg.pinv(a), a, b) is True
    assert reference.extracts(a, a, b) is not True
    assert reference.extracts_when_transposed(a, a, b)
    assert reference.extracts_the_other(b.T, a, b)
    sums_both = a.T + torch.ones(3, 5) @ b.T
    assert reference.extracts(sums_both, a, b) == "M (v_a + v_b) still depends on v_b."


def test_the_long_keys_have_the_covariance_of_the_sheet(reference: ModuleType, mu: Tensor) -> None:
    keys = part(reference, "queries").long_keys(mu, 1, 0.01, 100_000, seed=0)
    expected = 0.01 * torch.eye(8) + torch.outer(mu[1], mu[1]) / 2
    torch.testing.assert_close(keys[:, 1].T.cov().float(), expected, atol=0.01, rtol=0)
    torch.testing.assert_close(keys.mean(dim=0).float(), mu, atol=0.01, rtol=0)
    torch.testing.assert_close(keys[:, 0].T.cov().float(), 0.01 * torch.eye(8), atol=0.001, rtol=0)


@pytest.mark.parametrize(("alpha", "beta"), [(1e-4, 10), (0.01, 4), (0.0, 1)])
def test_the_spread_is_that_of_an_integral_over_the_keys_length(
    reference: ModuleType, mu: Tensor, alpha: float, beta: float
) -> None:
    """Without noise the weight of a depends on one normal number alone: integrate over it."""
    stretch = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    density = (-(stretch**2) / 2).exp()
    density /= density.sum()
    scores = torch.zeros(len(stretch), 4, dtype=torch.float64)
    scores[:, 0], scores[:, 2] = beta * (1 + 0.5**0.5 * stretch), beta
    weight = scores.softmax(dim=1)[:, 0]
    mean = (density * weight).sum()
    std = (density * (weight - mean) ** 2).sum().sqrt()
    seen = reference.output_spread(mu, 0, 2, alpha, beta, 100_000, 1)
    assert seen == (pytest.approx(mean.item(), abs=0.02), pytest.approx(std.item(), abs=0.02))


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "beta"), [(1e-4, 10), (0.01, 4)])
def test_simulations_from_any_seed_agree_and_those_of_mistakes_do_not(
    reference: ModuleType, mu: Tensor, alpha: float, beta: float
) -> None:
    given = (mu, 0, 2, alpha, beta, 4000)
    for seed in range(10):
        assert reference.spreads_alike(reference.output_spread(*given, seed), *given) is True
    mistaken = part(reference, "mistaken_queries")
    known = {0.0: reference.spreads_without_long_key, 0.5: reference.spreads_by_half}
    for by, recognises in known.items():
        weights = mistaken.spread(mu, 0, 2, alpha, beta, by)[:4000]
        result = (weights.mean().item(), weights.std().item())
        assert reference.spreads_alike(result, *given) is not True
        assert recognises(result, *given)
    mean, std = reference.output_spread(*given, 0)
    assert reference.spreads_alike((mean, std**2), *given) is not True
    assert reference.spreads_as_variance((mean, std**2), *given)
    assert not reference.spreads_as_variance((mean, std), *given)


@pytest.mark.parametrize("beta", [10, 20, 50, 1000])
def test_two_heads_are_steadier_and_one_in_both_is_not(
    reference: ModuleType, mu: Tensor, beta: float
) -> None:
    right = reference.two_head_queries(mu, 0, 2, beta)
    single = beta * (mu[0] + mu[2])
    judge = reference.averages_with_two_heads
    assert judge(right, mu, 0, 2, beta) is True
    assert judge(right[::-1], mu, 0, 2, beta) is True
    assert judge((single, single), mu, 0, 2, beta) is not True
    assert judge((right[0], right[0]), mu, 0, 2, beta) is not True
    assert reference.averages_in_each_head((single, single), mu, 0, 2)
    assert not reference.averages_in_each_head(right, mu, 0, 2)
    assert reference.asks_for_one_in_both_heads((right[1], right[1]), mu, 0, 2)
    assert not reference.asks_for_one_in_both_heads(right, mu, 0, 2)


# The GPT


@pytest.mark.parametrize(
    ("switches", "parameters"),
    [
        ({}, 3_323_392),
        ({"synthesizer": True}, 3_076_988),
        ({"perceiver": True, "bottleneck_dim": 32}, 3_331_584),
        ({"perceiver": True, "bottleneck_dim": 64}, 3_339_776),
        ({"rope": True}, 3_290_624),
    ],
)
def test_a_gpt_has_as_many_parameters_as_the_sheet_says(
    reference: ModuleType, switches: dict[str, Any], parameters: int
) -> None:
    config = reference.GPTConfig(**SHEET, **switches)
    assert sum(p.numel() for p in reference.GPT(config).parameters()) == parameters
    plain = sum(p.numel() for p in reference.vanilla_gpt(config).parameters())
    assert plain == 3_323_392


SWITCHES = [{}, {"synthesizer": True}, {"perceiver": True, "bottleneck_dim": 3}, {"rope": True}]


@pytest.fixture(params=SWITCHES, ids=["plain", "synthesizer", "perceiver", "rope"])
def config(reference: ModuleType, request: pytest.FixtureRequest) -> Any:
    return reference.GPTConfig(**SMALL, **request.param)


def loud(module: Any) -> Any:
    """Move all parameters away from zero, which positions start at."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def test_changing_a_token_changes_no_earlier_logits_and_some_later_ones(
    reference: ModuleType, config: Any
) -> None:
    gpt = loud(reference.GPT(config))
    idx = torch.randint(7, (2, 5))
    before, _ = gpt(idx)
    for place in range(5):
        changed = idx.clone()
        changed[:, place] = (idx[:, place] + 1) % 7
        after, _ = gpt(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place], before[:, place])


def test_gradients_of_the_loss_equal_finite_differences(reference: ModuleType, config: Any) -> None:
    gpt = loud(reference.GPT(replace(config, n_layer=2 + config.perceiver))).double()
    names, weights = zip(*gpt.named_parameters(), strict=True)
    idx, targets = torch.randint(7, (2, 4)), torch.randint(1, 7, (2, 4))

    def loss(*weights: Tensor) -> Any:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(gpt, given, (idx, targets))[1]

    assert torch.autograd.gradcheck(loss, weights, fast_mode=True)


def test_the_loss_is_the_mean_cross_entropy_without_padding(reference: ModuleType) -> None:
    gpt = loud(reference.GPT(reference.GPTConfig(**SMALL)))
    idx, targets = torch.randint(7, (2, 4)), torch.tensor([[1, 0, 3, 2], [0, 0, 6, 5]])
    logits, loss = gpt(idx, targets)
    logs = logits.log_softmax(dim=-1)
    wanted = [
        -logs[i, j, t] for i, row in enumerate(targets.tolist()) for j, t in enumerate(row) if t
    ]
    torch.testing.assert_close(loss, torch.stack(wanted).mean())
    assert gpt(idx)[1] is None


def test_a_loss_that_counts_padding_differs_by_the_padding_alone(reference: ModuleType) -> None:
    config = reference.GPTConfig(**SMALL)
    right, wrong = loud(reference.GPT(config)), reference.GPTThatCountsPadding(config).eval()
    wrong.load_state_dict(right.state_dict())
    idx, targets = torch.randint(7, (2, 6)), reference.padded_targets(3, 7, 2, 6)
    assert (targets == 0).tolist() == [[False] * 4 + [True] * 2] * 2
    assert not torch.allclose(right(idx, targets)[1], wrong(idx, targets)[1])
    torch.testing.assert_close(right(idx[:, :4], targets[:, :4]), wrong(idx[:, :4], targets[:, :4]))


@pytest.mark.parametrize("length", [1, 3, 6])
def test_the_attention_equals_torchs_own(reference: ModuleType, length: int) -> None:
    ours = loud(reference.CausalSelfAttention(reference.GPTConfig(**SMALL)))
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    layers = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
    x = torch.randn(2, length, 8)
    ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
    torch.testing.assert_close(ours(x), theirs(x, x, x, attn_mask=ahead)[0])


def test_the_synthesizer_equals_its_formula_token_by_token(reference: ModuleType) -> None:
    ours = loud(reference.SynthesizerAttention(reference.GPTConfig(**SMALL)))
    x = torch.randn(1, 5, 8)
    hidden, value = ours.w1(x)[0].relu(), ours.value(x)[0]
    for t in range(5):
        heads = []
        for columns in (slice(0, 4), slice(4, 8)):
            scores = (hidden[t, columns] @ ours.w2 + ours.b2)[: t + 1]
            heads.append(scores.softmax(dim=0) @ value[: t + 1, columns])
        torch.testing.assert_close(ours(x)[0, t], ours.proj(torch.cat(heads)))


@pytest.mark.parametrize("length", [2, 6])
def test_the_perceivers_blocks_go_down_and_up(reference: ModuleType, length: int) -> None:
    config = reference.GPTConfig(**SMALL, perceiver=True, bottleneck_dim=3)
    down, up = reference.DownProjectBlock(config), reference.UpProjectBlock(config)
    x = torch.randn(2, length, 8)
    assert down(x).shape == (2, 3, 8)
    assert up(down(x), x).shape == x.shape
    shapes = {name: tuple(p.shape) for name, p in down.named_parameters()}
    assert reference.has_latents([down(x)], shapes) is True
    assert reference.has_latents([x], {"c": (1, 3, 8)}) == "There is no parameter C."
    assert reference.has_latents([down(x)], {"C": (3, 8)}) is not True


@pytest.mark.parametrize("dim", [2, 6, 8])
@pytest.mark.parametrize("length", [1, 4, 9])
def test_rotary_embeddings_equal_complex_multiplication(
    reference: ModuleType, dim: int, length: int
) -> None:
    cache = reference.precompute_rotary_emb(dim, 9)
    x = torch.randn(2, 3, length, dim, dtype=torch.float64)
    theta = torch.tensor([10000 ** (-2 * i / dim) for i in range(dim // 2)], dtype=torch.float64)
    turns = torch.polar(
        torch.ones(length, dim // 2, dtype=torch.float64),
        torch.arange(length)[:, None] * theta,
    )
    expected = torch.view_as_real(torch.view_as_complex(x.reshape(2, 3, length, -1, 2)) * turns)
    seen = reference.apply_rotary_emb(x, cache)
    assert cache.shape == (9, dim // 2, 2)
    torch.testing.assert_close(seen, expected.flatten(-2), atol=1e-5, rtol=1e-5)


def test_rotary_scores_depend_on_distances_alone(reference: ModuleType) -> None:
    cache = reference.precompute_rotary_emb(8, 20)
    q, k = torch.randn(2, 1, 1, 1, 8)
    turned = [reference.apply_rotary_emb(v.expand(1, 1, 20, 8), cache)[0, 0] for v in (q, k)]
    scores = turned[0] @ turned[1].T
    torch.testing.assert_close(scores[3, 1], scores[15, 13])
    assert not torch.allclose(scores[3, 1], scores[3, 2])


def all_differ(results: list[Tensor]) -> bool:
    return not any(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5)
        for i, a in enumerate(results)
        for b in results[:i]
    )


def names_in(reference: ModuleType, start: str) -> list[str]:
    return [name for name in vars(reference) if name.startswith(start)]


@pytest.mark.parametrize(
    ("right", "start", "size"),
    [("CausalSelfAttention", "attention_", 9), ("SynthesizerAttention", "synthesizer_", 6)],
)
def test_attentions_and_their_mistakes_all_differ(
    reference: ModuleType, right: str, start: str, size: int
) -> None:
    config = reference.GPTConfig(**(SMALL | {"n_embd": 16}))
    model = loud(getattr(reference, right)(config))
    x, outputs = torch.randn(2, 5, 16), []
    names = [right, *names_in(reference, start)]
    for name in names:
        attention = getattr(reference, name)(config).eval()
        attention.load_state_dict(model.state_dict())
        outputs.append(attention(x).detach())
    assert len(names) == size
    assert all_differ(outputs)


def test_gpts_and_their_mistakes_all_differ(reference: ModuleType) -> None:
    config = reference.GPTConfig(**SMALL)
    model = loud(reference.GPT(config))
    idx, outputs = torch.randint(7, (2, 5)), []
    names = ["GPT", *names_in(reference, "GPTWithout"), *names_in(reference, "gpt_")]
    for name in names:
        gpt = getattr(reference, name)(config).eval()
        gpt.load_state_dict(model.state_dict())
        outputs.append(gpt(idx)[0].detach())
    assert len(names) == 11
    assert all_differ(outputs)


def test_rotary_embeddings_and_their_mistakes_all_differ(reference: ModuleType) -> None:
    names = ["precompute_rotary_emb", *names_in(reference, "rotary_")]
    names.remove("rotary_cache")
    caches = [getattr(reference, name)(8, 5) for name in names]
    x, cache = torch.randn(1, 2, 4, 8), reference.rotary_cache(0, 8, 5)
    turns = ["apply_rotary_emb", *names_in(reference, "rotated_")]
    assert (len(names), len(turns)) == (5, 6)
    assert all_differ(caches)
    assert all_differ([getattr(reference, name)(x, cache) for name in turns])


# Span corruption


BLOCK = 128
Corrupt = Callable[[str], str]


def items_of(reference: ModuleType, corrupt: Corrupt, idx: int, length: int = BLOCK) -> Any:
    """300 items of one document, made by a function that gives their text."""
    data = reference.documents(0)
    numbers = reference.CharCorruptionDataset(data, BLOCK).stoi
    document, pad = data.split("\n")[idx], "\u25a1"
    rows = [[numbers[c] for c in corrupt(document).ljust(length, pad)] for _ in range(300)]
    return [(torch.tensor(row[:-1]), torch.tensor(row[1:])) for row in rows]


def masked(kept: str, length: int, start: int | None = None) -> str:
    """Take a span out of a text and put it behind, as the sheet asks."""
    at = random.randint(0, len(kept) - length) if start is None else start  # noqa: S311
    return f"{kept[:at]}\u2047{kept[at + length :]}\u2047{kept[at : at + length]}"


def cut(document: str, most: int = 112) -> str:
    return document[: random.randint(4, most)]  # noqa: S311


def quarter(document: str) -> str:
    kept = cut(document)
    return masked(kept, len(kept) // 4)


def around_a_quarter(document: str) -> str:
    kept = document[: random.randint(min(4, len(document)), min(112, len(document)))]  # noqa: S311
    return masked(kept, min(len(kept), max(1, round(random.gauss(len(kept) / 4, 1)))))


def up_to_half(document: str) -> str:
    kept = cut(document)
    return masked(kept, random.randint(1, max(1, len(kept) // 2)))  # noqa: S311


@pytest.mark.parametrize("corrupt", [quarter, around_a_quarter, up_to_half])
@pytest.mark.parametrize("idx", [0, 1, 2])
def test_corruption_may_be_drawn_in_many_ways(
    reference: ModuleType, corrupt: Corrupt, idx: int
) -> None:
    data = reference.documents(0)
    assert reference.corrupts(items_of(reference, corrupt, idx), data, BLOCK, idx) is True


@pytest.mark.parametrize("idx", range(3))
def test_the_references_own_items_are_right_under_every_seed(
    reference: ModuleType, idx: int
) -> None:
    data = reference.documents(0)
    dataset = reference.CharCorruptionDataset(data, BLOCK)
    for seed in range(10):
        random.seed(seed)
        items = [dataset[idx] for _ in range(300)]
        assert reference.corrupts(items, data, BLOCK, idx) is True
        random.seed(seed)
        assert all(torch.equal(x, dataset[idx][0]) for x, _ in items)


def test_characters_may_be_numbered_in_other_orders(reference: ModuleType) -> None:
    data, items = reference.documents(0), items_of(reference, quarter, 0)
    vocabularies = part(reference, "corruption").vocabularies(data)
    first = {name: number for number, name in enumerate(vocabularies[0])}
    for names in vocabularies:
        other = torch.tensor([names.index(name) if name in names else -1 for name in first])
        renumbered = [(other[x], other[y]) for x, y in items]
        assert reference.corrupts(renumbered, data, BLOCK, 0) is True
    assert len({*map(tuple, vocabularies)}) == 8
    upside_down = [(len(first) - 1 - x, len(first) - 1 - y) for x, y in items]
    assert reference.corrupts(upside_down, data, BLOCK, 0) is not True


@pytest.mark.parametrize("idx", [3, 4])
def test_documents_of_no_or_two_characters_give_items(reference: ModuleType, idx: int) -> None:
    dataset = reference.CharCorruptionDataset(reference.documents(0), BLOCK)
    assert reference.gives_items([dataset[idx] for _ in range(20)], BLOCK) is True


def whole(document: str) -> str:
    return masked(document[:112], len(document[:112]) // 4)


def inner(document: str) -> str:
    size = min(len(document), random.randint(4, 112))  # noqa: S311
    begin = random.randint(0, len(document) - size)  # noqa: S311
    return masked(document[begin : begin + size], size // 4)


def half(document: str) -> str:
    kept = cut(document)
    return masked(kept, len(kept) // 2)


def at_the_end(document: str) -> str:
    kept = cut(document)
    return masked(kept, len(kept) // 4, start=len(kept) - len(kept) // 4)


def at_the_same_place(document: str) -> str:
    kept = cut(document)
    return masked(kept, len(kept) // 4, start=2)


def one_mask(document: str) -> str:
    return quarter(document).replace("\u2047", "", 1)


def third_mask(document: str) -> str:
    return quarter(document) + "\u2047"


def too_long(document: str) -> str:
    kept = cut(document, most=120)
    return masked(kept, len(kept) // 4)


def without_span(document: str) -> str:
    return masked(cut(document), 0)


def eighth(document: str) -> str:
    kept = cut(document)
    return masked(kept, max(1, len(kept) // 8))


def in_order(document: str) -> str:
    prefix, suffix, span = quarter(document).split("\u2047")
    return f"{prefix}\u2047{span}\u2047{suffix}"


def padded_in_front(document: str) -> str:
    return quarter(document).rjust(BLOCK, "\u25a1")


@pytest.mark.parametrize(
    ("corrupt", "says"),
    [
        (whole, "The document is cut to the same few lengths; the length is random."),
        (inner, "Prefix, masked span and suffix do not make the beginning of the document."),
        (half, "The masked span is not a quarter of the kept text on average."),
        (at_the_end, "The masked span is never in the middle, with text before and after it."),
        (at_the_same_place, "The masked span begins at the same place; it is a random one."),
        (one_mask, "An item has two MASKs: after the prefix, and before the masked span."),
        (third_mask, "An item has two MASKs: after the prefix, and before the masked span."),
        (
            too_long,
            "The document is not cut to between 4 and int(block_size * 7/8) characters.",
        ),
        (without_span, "The masked span is not a quarter of the kept text on average."),
        (in_order, "Prefix, masked span and suffix do not make the beginning of the document."),
        (padded_in_front, "Padding stands in the middle; it only fills up the end."),
    ],
)
def test_wrong_corruptions_are_told_apart(
    reference: ModuleType, corrupt: Corrupt, says: str
) -> None:
    items = items_of(reference, corrupt, 0)
    assert reference.corrupts(items, reference.documents(0), BLOCK, 0) == says


@pytest.mark.parametrize(
    ("corrupt", "mistake"),
    [
        (whole, "corrupts_whole_documents"),
        (inner, "corrupts_inner_text"),
        (half, "corrupts_too_much"),
        (one_mask, "corrupts_with_one_mask"),
        (third_mask, "corrupts_with_third_mask"),
        (in_order, "corrupts_with_span_inside"),
        (eighth, "corrupts_by_another_share"),
    ],
)
def test_known_mistakes_of_a_corruption_are_recognised_and_right_ones_are_not(
    reference: ModuleType, corrupt: Corrupt, mistake: str
) -> None:
    given = {"data": reference.documents(0), "block_size": BLOCK, "idx": 0}
    recognises = getattr(reference, mistake)
    asked = recognises.__code__.co_varnames[1 : recognises.__code__.co_argcount]
    told = {name: given[name] for name in asked}
    assert recognises(items_of(reference, corrupt, 0), **told)
    assert not recognises(items_of(reference, quarter, 0), **told)


def test_items_that_are_not_shifted_or_too_long_are_named(reference: ModuleType) -> None:
    data, items = reference.documents(0), items_of(reference, quarter, 0)
    same = [(x, x) for x, _ in items]
    longer = items_of(reference, quarter, 0, length=BLOCK + 1)
    lengths = "x and y must have block_size - 1 tokens each."
    assert reference.corrupts(same, data, BLOCK, 0) == "y is not x one place further on."
    assert reference.corrupts_unshifted(same)
    assert not reference.corrupts_unshifted(items)
    assert reference.corrupts(longer, data, BLOCK, 0) == lengths
    assert reference.corrupts_to_block_size(longer, BLOCK)
    assert reference.gives_items(longer, BLOCK) == lengths


def test_pairs_of_rows_of_one_length_are_items_of_some_kind(reference: ModuleType) -> None:
    items = items_of(reference, quarter, 0, length=BLOCK + 1)
    assert reference.gives_pairs(items) is True
    says = "x and y must be two rows of the same length."
    assert reference.gives_pairs([(x, y[1:]) for x, y in items]) == says


def test_other_wrong_items_are_not_taken_for_half_right_ones(reference: ModuleType) -> None:
    at_end = items_of(reference, at_the_end, 0)
    assert not reference.corrupts_with_span_inside(at_end, reference.documents(0), 0)
    assert not reference.corrupts_by_another_share(
        items_of(reference, without_span, 0), reference.documents(0), BLOCK, 0
    )


# People and places


def test_5_percent_of_the_dev_list_are_london(reference: ModuleType) -> None:
    pairs = part(reference, "places").dev_pairs()
    assert len(pairs) == 500
    assert sum(place == "London" for _, place in pairs) == 25
    assert reference.london_baseline(pairs) == 5.0
    assert reference.london_in_hundreds(pairs) == 0.25
    assert reference.london_share(pairs) == 0.05
    assert reference.london_count(pairs) == 25


@pytest.mark.parametrize(("count", "london"), [(7, 2), (40, 13), (500, 25)])
def test_other_lists_tell_the_baselines_mistakes_apart(
    reference: ModuleType, count: int, london: int
) -> None:
    pairs = reference.some_pairs(1, count, london)
    names = ("baseline", "in_hundreds", "share", "count", "inside")
    found = [getattr(reference, f"london_{name}")(pairs) for name in names]
    assert len(pairs) == count
    assert found == pytest.approx(
        [100 * london / count, london / 100, london / count, london, 100 * (london + 1) / count]
    )
    assert len({*found}) == 5


def test_predictions_earn_what_is_right_whatever_spaces_surround_them(
    reference: ModuleType,
) -> None:
    _, places = reference.dev_places()
    assert reference.percent_right([f" {place}" for place in places], places) == 100
    assert reference.percent_right([f"{place.lower()}.\n" for place in places], places) == 100
    assert reference.percent_right(["London"] * 500, places) == 5
    assert reference.predicts_london_only(["London "] * 500, places)
    assert not reference.predicts_london_only(places, places)
    questions = (STUDENT / "data" / "birth_dev.txt").read_text(encoding="utf-8").splitlines()
    assert reference.predicts_questions(questions, places)


def test_the_students_data_is_what_the_generator_gives() -> None:
    given = module_at(HOME / "write_training_data.py").files()
    assert sorted([*given, "README.md"]) == sorted(p.name for p in (STUDENT / "data").iterdir())
    for name, text in given.items():
        assert (STUDENT / "data" / name).read_text(encoding="utf-8") == text


def test_no_place_of_the_dev_list_is_given_with_its_question(reference: ModuleType) -> None:
    dev = {question for question, _ in part(reference, "places").dev_pairs()}
    train = (STUDENT / "data" / "birth_train.tsv").read_text(encoding="utf-8")
    assert dev.isdisjoint(line.split("\t")[0] for line in train.splitlines())
    assert len(dev) == 500


# The solution, the template, and the samples


def test_the_committed_notebooks_and_files_are_those_of_the_texts(samples: ModuleType) -> None:
    made = samples.notebooks("cs224n_a5")
    stale = [
        str(path)
        for path, text in made.items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert stale == []
    folders = (SAMPLES, HOME / "solution", STUDENT / "src")
    kept = {p.relative_to(ROOT) for folder in folders for p in folder.rglob("*") if p.is_file()}
    kept = {p for p in kept if "__pycache__" not in p.parts}
    assert sorted(kept - set(made)) == [
        Path("submissions/cs224n_a5/expected.yaml"),
        Path("submissions/cs224n_a5/s19/.gitkeep"),
    ]


@pytest.mark.slow
def test_the_solutions_own_training_runs(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data and the training that students get, with the solution's model, once and small."""
    monkeypatch.syspath_prepend(str(HOME / "solution" / "src"))
    names = ("attention", "model", "dataset", "train")
    _, model, dataset, train = (importlib.import_module(name) for name in names)
    corpus = (STUDENT / "data" / "corpus.txt").read_text(encoding="utf-8")
    births = (STUDENT / "data" / "birth_train.tsv").read_text(encoding="utf-8")
    corruption = dataset.CharCorruptionDataset(corpus + births, 64)
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    gpt = model.GPT(model.GPTConfig(corruption.vocab_size, 64, **sizes))
    births = "\n".join(births.splitlines()[:128])
    train.train(gpt, dataset.NameDataset(corruption, births), epochs=1)
    answer = train.answer(gpt, corruption, "Where was Selen Quinsosand born?", longest=3)
    assert capsys.readouterr().out.startswith("epoch 0: loss ")
    assert isinstance(answer, str)
    for name in names:
        sys.modules.pop(name)


def test_the_template_answers_nothing() -> None:
    cells = json.loads((STUDENT / "cs224n_a5.ipynb").read_text(encoding="utf-8"))["cells"]
    answers = [c for c in cells if c["cell_type"] == "code" and c["id"] != "setup"]
    assert answers
    for cell in answers:
        source = "".join(cell["source"])
        assert "...  # your code" in source or "= None  # your" in source


def test_every_sample_says_what_it_must_earn() -> None:
    rubric = yaml.safe_load((ROOT / "rubrics" / "cs224n_a5.yaml").read_text(encoding="utf-8"))
    points = {q["id"]: q["points"] for q in rubric["questions"]}
    expected = yaml.safe_load((SAMPLES / "expected.yaml").read_text(encoding="utf-8"))
    assert sum(points.values()) == 65
    assert sorted(expected) == sorted(p.name for p in SAMPLES.iterdir() if p.is_dir())
    assert {says["status"] for says in expected.values()} == STATUSES
    for student, says in expected.items():
        questions = [name for name in says["points"] if " " not in name]
        assert questions == ([] if says["status"] == "unreadable" else list(points)), student


def test_all_that_the_reference_offers_stands_in_the_rubric(reference: ModuleType) -> None:
    rubric = (ROOT / "rubrics" / "cs224n_a5.yaml").read_text(encoding="utf-8")
    offered = [name for name, value in vars(reference).items() if callable(value)]
    assert len(offered) > 80
    assert [name for name in offered if not re.search(rf"\b{name}\b", rubric)] == []
