import csv
import importlib.util
import itertools
import json
import math
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from grader.reference import Reference

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "reference" / "nyu_hw2"
STUDENT, SOLUTION = FOLDER / "student", FOLDER / "solution"
SAMPLES = ROOT / "submissions" / "nyu_hw2"

POINTS = {"1": 3, "2a": 0.5, "2b": 2, "2c": 0.5, "3": 2, "4": 3, "5": 4}
CHECKS = {"1 recurrence": 1, "1 rnn_output": 1.5}
STATUSES = {"complete", "time_limit", "memory_limit", "kernel_died", "unreadable", "missing"}
OTHER_FORMS = {"rnn_output_as_a_decision", "rnn_output_in_a_tensor"}
ASKED = {
    **{"image_size": 28, "patch_size": 4, "num_classes": 10},
    **{"dim": 64, "depth": 6, "heads": 4, "mlp_dim": 128},
}


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tested_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks train many times faster on one thread, the more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return Reference(FOLDER / "reference.py").module


def part(reference: ModuleType, name: str) -> ModuleType:
    """A file of the reference, for what its rubric does not name."""
    return sys.modules[f"{reference.__name__}.{name}"]


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    return module_at(ROOT / "scripts" / "make_samples.py")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def code_of(notebook: Path) -> str:
    """All code that a grader runs."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and not cell["metadata"].get("tags")
    )


def run(notebook: Path, folder: Path) -> dict[str, Any]:
    """Run a notebook's cells one after the other, beside data and weights."""
    for name in ("data", "lib"):
        (folder / name).symlink_to(STUDENT / name)
    for weights in notebook.parent.glob("weights.*"):
        (folder / weights.name).write_bytes(weights.read_bytes())
    script = folder / "notebook.py"
    script.write_text(code_of(notebook), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])  # the notebook adds to it
        return runpy.run_path(str(script))


@pytest.fixture(scope="module")
def solution(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(SOLUTION / "nyu_hw2.ipynb", tmp_path_factory.mktemp("solution"))


def names_of(reference: ModuleType, start: str) -> list[str]:
    return [n for n in reference.__all__ if n.startswith(start) and n not in OTHER_FORMS]


# Question 1


@pytest.mark.parametrize("place", range(4))
def test_the_last_of_four_states_has_changing_signs(place: int) -> None:
    x = [int(t == place) for t in range(4)]
    h = 0
    for x_t in x:
        h = x_t - h
    assert h == [-1, 1, -1, 1][place]


def test_rnn_output_says_whether_the_even_numbered_inputs_have_more(reference: ModuleType) -> None:
    for x in itertools.product(range(-2, 3), repeat=4):
        lead = x[1] + x[3] - x[0] - x[2]
        expected = 0.5 if lead == 0 else float(lead > 0)
        assert reference.rnn_output(torch.tensor(x)) == expected


# Questions 1, 2b and 3: the right functions and the known mistakes


def every_output(reference: ModuleType, start: str, *given: Tensor) -> list[Tensor]:
    outputs = []
    for name in names_of(reference, start):
        try:
            outputs.append(torch.as_tensor(getattr(reference, name)(*given)))
        except OverflowError:
            outputs.append(torch.tensor(math.inf))
    return outputs


def all_differ(outputs: list[Tensor]) -> bool:
    pairs = itertools.combinations(outputs, 2)
    return not any(
        a.shape == b.shape and torch.allclose(a.double(), b.double(), atol=1e-3) for a, b in pairs
    )


def test_rnn_output_and_its_mistakes_all_differ(reference: ModuleType) -> None:
    together = [
        torch.stack(each)
        for each in zip(
            *(
                every_output(reference, "rnn_output", torch.tensor(x))
                for x in ([2, 3, 4, 4], [-3, 5, 0, -7], [0, 40, 6, 0, 0, 0, 40, 5])
            ),
            strict=True,
        )
    ]
    assert len(together) == 7
    assert all_differ(together)


@pytest.mark.parametrize("name", sorted(OTHER_FORMS))
def test_a_right_output_in_another_form_is_right(reference: ModuleType, name: str) -> None:
    for x in (torch.tensor([2, 3, 4, 4]), torch.tensor([0, 40, 6, 0, 0, 0, 40, 5])):
        assert getattr(reference, name)(x) == reference.rnn_output(x)


@pytest.mark.parametrize(("start", "count"), [("self_attention", 5), ("linear_attention", 8)])
def test_an_attention_and_its_mistakes_all_differ(
    reference: ModuleType, generator: torch.Generator, start: str, count: int
) -> None:
    given = [torch.rand(5, 4, generator=generator) + 0.1 for _ in range(3)]
    outputs = every_output(reference, start, *(given[:1] if start == "self_attention" else given))
    assert len(outputs) == count
    assert all_differ(outputs)


# Question 2


def test_the_tokens_have_the_norms_of_2a(reference: ModuleType) -> None:
    tokens = reference.tokens_of_2b(3, beta=5.0, dim=7)
    expected = torch.tensor([math.sqrt(2) * 5, 5, math.sqrt(2) * 5])
    torch.testing.assert_close(tokens.norm(dim=1), expected)


def test_the_tokens_share_b_only(reference: ModuleType) -> None:
    tokens = reference.tokens_of_2b(3, beta=2.0, dim=4)
    expected = torch.tensor([[8.0, 0, 4], [0, 4, 0], [4, 0, 8]])
    torch.testing.assert_close(tokens @ tokens.T, expected, atol=1e-5, rtol=0)


def test_each_output_is_near_its_own_token_if_beta_is_large(reference: ModuleType) -> None:
    tokens = reference.tokens_of_2b(3, beta=6.0, dim=7)
    torch.testing.assert_close(reference.self_attention(tokens), tokens, atol=1e-4, rtol=0)


def test_self_attention_equals_the_definition_in_scalars(
    reference: ModuleType, generator: torch.Generator
) -> None:
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    rows = x.tolist()
    expected = []
    for query in rows:
        scores = [math.exp(sum(a * b for a, b in zip(query, key, strict=True))) for key in rows]
        weights = [score / sum(scores) for score in scores]
        expected.append(
            [sum(w * value[i] for w, value in zip(weights, rows, strict=True)) for i in range(3)]
        )
    torch.testing.assert_close(reference.self_attention(x).tolist(), expected)


def test_gradients_of_self_attention_equal_finite_differences(
    reference: ModuleType, generator: torch.Generator
) -> None:
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(reference.self_attention, (x,))


# Question 3


@pytest.mark.parametrize(("t", "d", "d_v"), [(1, 3, 2), (7, 4, 4), (20, 1, 5), (33, 8, 1)])
def test_linear_attention_equals_the_quadratic_form(
    reference: ModuleType, generator: torch.Generator, t: int, d: int, d_v: int
) -> None:
    q, k = (torch.rand(t, d, generator=generator, dtype=torch.float64) + 0.1 for _ in range(2))
    v = torch.randn(t, d_v, generator=generator, dtype=torch.float64)
    weights = q @ k.T
    expected = weights / weights.sum(dim=1, keepdim=True) @ v
    torch.testing.assert_close(reference.linear_attention(q, k, v), expected)


def test_gradients_of_linear_attention_equal_finite_differences(
    reference: ModuleType, generator: torch.Generator
) -> None:
    q, k, v = (torch.rand(4, 3, generator=generator, dtype=torch.float64) + 0.1 for _ in range(3))
    given = tuple(each.requires_grad_() for each in (q, k, v))
    assert torch.autograd.gradcheck(reference.linear_attention, given)


def test_linear_attention_takes_tokens_whose_pairs_would_fill_any_memory(
    reference: ModuleType,
) -> None:
    ones = torch.ones(1_000_000, 2)
    assert torch.allclose(reference.linear_attention(ones, ones, ones), ones)


# Question 4


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def count_by_formula(sizes: dict[str, int]) -> int:
    dim, wide, patch = sizes["dim"], sizes["mlp_dim"], sizes["patch_size"] ** 2
    layer = 4 * dim**2 + 4 * dim + 2 * dim * wide + wide + dim + 4 * dim
    tokens = sizes["image_size"] ** 2 // patch + 1
    ends = (patch + 1) * dim + dim + tokens * dim + 2 * dim + (dim + 1) * sizes["num_classes"]
    return sizes["depth"] * layer + ends


@pytest.mark.parametrize(
    "sizes", [ASKED, ASKED | {"depth": 2, "dim": 32, "heads": 2, "mlp_dim": 48, "patch_size": 7}]
)
def test_the_vit_has_as_many_parameters_as_the_formula_says(
    reference: ModuleType, sizes: dict[str, int]
) -> None:
    made = reference.ViT(**sizes)
    assert sum(p.numel() for p in made.parameters()) == count_by_formula(sizes)


def test_the_asked_vit_has_205_thousand_parameters() -> None:
    assert count_by_formula(ASKED) == 205_962


def test_patches_are_cut_row_by_row(reference: ModuleType) -> None:
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    first, second, *_ = part(reference, "vit").patches(image, 3)[0].tolist()
    assert first == [0, 1, 2, 6, 7, 8, 12, 13, 14]
    assert second == [3, 4, 5, 9, 10, 11, 15, 16, 17]


def test_a_class_token_joins_49_patches(reference: ModuleType) -> None:
    made = reference.ViT(**ASKED)
    seen: list[tuple[int, ...]] = []
    for block in made.blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape)))
    assert made(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert seen == [(2, 50, 64)] * 6


def test_attention_equals_torchs_own(reference: ModuleType, generator: torch.Generator) -> None:
    block = reference.ViT(**ASKED).blocks[0].attention
    theirs = nn.MultiheadAttention(64, 4, batch_first=True)
    theirs.load_state_dict(
        {
            **{"in_proj_weight": block.qkv.weight, "in_proj_bias": block.qkv.bias},
            **{"out_proj.weight": block.proj.weight, "out_proj.bias": block.proj.bias},
        }
    )
    x = torch.randn(2, 5, 64, generator=generator)
    torch.testing.assert_close(block(x), theirs(x, x, x)[0])


def test_gradients_of_the_vit_equal_finite_differences(
    reference: ModuleType, generator: torch.Generator
) -> None:
    made = reference.ViT(4, 2, 3, dim=4, depth=1, heads=2, mlp_dim=3).double()
    images = torch.randn(1, 1, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*made.named_parameters(), strict=True)

    def forward(images: Tensor, *weights: Tensor) -> Any:
        return torch.func.functional_call(made, dict(zip(names, weights, strict=True)), (images,))

    assert torch.autograd.gradcheck(forward, (images, *weights))


def test_shuffled_images_hold_the_same_patches(reference: ModuleType) -> None:
    images, shuffled = reference.with_patches_shuffled(1, 2, 12, 4).chunk(2)
    before, after = (
        part(reference, "vit").patches(each, 4)[1].tolist() for each in (images, shuffled)
    )
    assert before != after
    assert sorted(before) == sorted(after)


@pytest.mark.parametrize("blind", [False, True])
def test_shuffling_patches_tells_whether_positions_are_used(
    reference: ModuleType, blind: bool
) -> None:
    made = reference.ViT(**ASKED)
    nn.init.constant_(made.positions, 0.0) if blind else None
    said = reference.uses_positions([made(reference.with_patches_shuffled(1, 2, 28, 4))])
    assert isinstance(said, str) if blind else said is True


class Wide(nn.Module):
    """Heads of 64 each, layers cut into an attention and a perceptron without a common name."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        pairs = [
            nn.ModuleList([nn.Linear(64, 768, bias=False), nn.Linear(256, 64)])
            for _ in range(depth)
        ]
        wide = [nn.ModuleList([nn.Linear(64, 128), nn.Linear(128, 64)]) for _ in range(depth)]
        self.transformer = nn.ModuleList(
            nn.ModuleList(both) for both in zip(pairs, wide, strict=True)
        )


def torchs_encoder(depth: int, mlp_dim: int = 128, **options: Any) -> nn.Module:
    layer = nn.TransformerEncoderLayer(64, 4, mlp_dim, batch_first=True, **options)
    stack = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(16, 64), stack, nn.Linear(64, 10))


def said_of_layers(reference: ModuleType, model: nn.Module) -> Any:
    return part(reference, "vit").has_layers(shapes_of(model), depth=6, dim=64, mlp_dim=128)


@pytest.mark.parametrize(
    "model",
    [
        torchs_encoder(6),
        torchs_encoder(6, bias=False),
        nn.Sequential(*(nn.TransformerEncoderLayer(64, 4, 128) for _ in range(6)), nn.Linear(9, 9)),
        Wide(6),
    ],
    ids=["torch's", "without biases", "beside the head", "heads of 64"],
)
def test_six_layers_are_found_however_they_are_named(
    reference: ModuleType, model: nn.Module
) -> None:
    assert said_of_layers(reference, reference.ViT(**ASKED)) is None
    assert said_of_layers(reference, model) is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (torchs_encoder(5), 5),
        (torchs_encoder(7), 7),
        (torchs_encoder(6, mlp_dim=64), 1),  # the encoder as a whole
        (Wide(4), 4),
        (nn.Linear(500, 500), 0),
    ],
)
def test_another_depth_or_width_is_named(
    reference: ModuleType, model: nn.Module, found: int
) -> None:
    assert said_of_layers(reference, model) == (
        "Built with depth=6, dim=64 and mlp_dim=128, it should have 6 layers of at least 32,768 "
        f"parameters; we find {found}."
    )


def test_layers_of_another_mlp_dim_are_named(reference: ModuleType) -> None:
    assert said_of_layers(reference, torchs_encoder(6, mlp_dim=256)) == (
        "Built with mlp_dim=128, no layer leads from dim=64 to mlp_dim."
    )


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"positions": (1, 50, 64)}, False),
        ({"positions.weight": (50, 64)}, False),
        ({"positions.weight": (197, 64)}, False),
        ({"positions": (1, 49, 64), "class_token": (1, 1, 64)}, False),
        ({"positions": (49, 64), "cls": (64,)}, False),
        ({"positions": (49, 64), "cls.weight": (1, 64)}, False),
        ({"class_token": (1, 1, 64)}, False),
        ({"rows": (7, 64), "columns": (7, 64), "cls": (64,)}, False),
        ({}, False),
        ({"positions": (1, 49, 64)}, True),
        ({"positions.weight": (49, 64), "norm.weight": (64,), "norm.bias": (64,)}, True),
    ],
)
def test_a_class_token_is_missed_only_where_it_is_sure(
    reference: ModuleType, own: dict[str, tuple[int, ...]], told: bool
) -> None:
    layers = {"embed.weight": (64, 16), "blocks.0.mlp.weight": (128, 64), "head.weight": (10, 64)}
    said = part(reference, "vit").has_class_token(layers | own, count=49, dim=64)
    expected = "There is no class token: the learned positions are those of 49 patches alone."
    assert said == (expected if told else None)
    assert part(reference, "vit").has_patches(layers | own, count=49, dim=64, mlp_dim=128) is None


@pytest.mark.parametrize(("rows", "patches"), [(17, 16), (5, 4)])
def test_the_positions_of_larger_patches_are_told(
    reference: ModuleType, rows: int, patches: int
) -> None:
    shapes = {"positions": (1, rows, 64), "head.weight": (10, 64), "mlp.weight": (128, 64)}
    assert part(reference, "vit").has_patches(shapes, count=49, dim=64, mlp_dim=128) == (
        f"There should be 49 patches; the learned positions are those of {patches}."
    )


@pytest.mark.parametrize(("heads", "holds"), [(4, True), (1, False)])
def test_heads_are_told_from_torchs_own_attention(
    reference: ModuleType, heads: int, holds: bool
) -> None:
    layer = {"classes": ["MultiheadAttention"], "attributes": {"num_heads": heads}}
    said = part(reference, "vit").has_heads({"blocks.0": layer}, heads=4)
    assert said == (None if holds else "Built with heads=4, no attention in it has 4 heads.")
    assert (
        part(reference, "vit").has_heads({"": {"classes": ["ViT"], "attributes": {}}}, heads=4)
        is None
    )


def test_scores_that_no_image_reaches_are_told_first(reference: ModuleType) -> None:
    said = reference.uses_positions([torch.ones(4, 10)])
    assert said.startswith("Different images get the same scores")


def images_in(path: Path) -> set[bytes]:
    with np.load(path) as data:
        assert sorted(data.files) == ["images", "labels"]
        assert data["images"].shape == (len(data["labels"]), 28, 28)
        return {image.tobytes() for image in data["images"]}


def test_no_withheld_image_is_among_those_that_students_get() -> None:
    withheld, given = images_in(FOLDER / "withheld.npz"), images_in(STUDENT / "data/digits.npz")
    assert (len(withheld), len(given)) == (500, 1297)
    assert not withheld & given


def test_withheld_images_depend_on_the_seed(reference: ModuleType) -> None:
    images, labels = reference.withheld_images(1)
    again, other = reference.withheld_images(1), reference.withheld_images(2)
    assert (images.shape, images.dtype) == ((400, 1, 28, 28), torch.float32)
    assert (labels.shape, labels.dtype) == ((400,), torch.int64)
    assert (images.min(), images.max()) == (0, 1)
    assert torch.equal(again[0], images)
    assert not torch.equal(other[0], images)


# Question 5


def test_the_classifier_reads_each_sentence_by_itself(
    reference: ModuleType, generator: torch.Generator
) -> None:
    made = reference.SentimentClassifier(20, 8, 6, 3, 2, True, 0.5).eval()
    tokens = torch.randint(2, 20, (4, 7), generator=generator)
    torch.testing.assert_close(made(tokens)[1:2], made(tokens[1:2]))
    assert made(tokens).shape == (4, 3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_classifier_has_as_many_parameters_as_the_formula_says(
    reference: ModuleType, bidirectional: bool
) -> None:
    made = reference.SentimentClassifier(50, 8, 6, 3, 2, bidirectional, 0.5)
    ways = 1 + bidirectional
    first, second = 3 * 6 * (8 + 6 + 2), 3 * 6 * (6 * ways + 6 + 2)
    expected = 50 * 8 + ways * (first + second) + (6 * ways + 1) * 3
    assert sum(p.numel() for p in made.parameters()) == expected


@pytest.mark.parametrize(
    ("result", "holds"),
    [
        *[(right, True) for right in (0.0, 1, 0.7, torch.tensor([0.2]))],
        *[(wrong, False) for wrong in (1.5, -0.1, math.nan, "0.5", [0.5])],
    ],
)
def test_a_probability_is_one_number_from_0_to_1(
    reference: ModuleType, result: object, holds: bool
) -> None:
    assert (reference.is_a_probability(result, "fine") is True) == holds


def test_sentiment_accuracy_counts_the_right_side_of_one_half(reference: ModuleType) -> None:
    labels = torch.tensor([1, 0, 1, 0])
    assert reference.sentiment_accuracy(torch.tensor([[0.9], [0.1], [0.4], [0.5]]), labels) == 0.75


def test_the_opposite_is_known_of_a_model_that_tells(reference: ModuleType) -> None:
    labels = torch.tensor([1, 0, 1, 0])
    right, guess = torch.tensor([0.9, 0.1, 0.8, 0.2]), torch.tensor([0.9, 0.9, 0.1, 0.1])
    known = [reference.predicts_the_opposite(p, labels) for p in (1 - right, right, guess)]
    assert known == [True, False, False]


def test_the_reviews_are_what_the_generator_gives(reference: ModuleType) -> None:
    sentences, labels = reference.training_reviews()
    rows: list[dict[str, str]] = []
    for name, count in (("train", 2000), ("valid", 400)):
        text = (STUDENT / "data" / f"reviews_{name}.csv").read_text(encoding="utf-8")
        rows += csv.DictReader(text.splitlines())
        assert len(rows) in (count, 2400)
    assert [row["sentence"] for row in rows] == sentences
    assert [int(row["label"]) for row in rows] == labels.tolist()


def test_withheld_reviews_depend_on_the_seed_and_on_nothing_else(reference: ModuleType) -> None:
    sentences, labels = reference.withheld_reviews(3)
    torch.rand(5)
    again, other = reference.withheld_reviews(3), reference.withheld_reviews(4)
    assert (len(sentences), labels.shape, labels.dtype) == (400, (400,), torch.int64)
    assert sentences == again[0]
    assert torch.equal(labels, again[1])
    assert sentences != other[0]
    assert 150 < labels.sum() < 250


# The weights' format


def test_a_safetensors_file_is_a_length_a_header_and_bytes(tmp_path: Path) -> None:
    stand_in = module_at(STUDENT / "lib/safetensors/torch.py")
    given = {
        "a.b": torch.tensor([[1.5, -2.0]]),
        "c": torch.tensor(7),
        "d": torch.zeros(0, 3, dtype=torch.bool),
    }
    stand_in.save_file(given, tmp_path / "x.safetensors", metadata={"format": "pt"})
    content = (tmp_path / "x.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    assert json.loads(content[8 : 8 + size]) == {
        "__metadata__": {"format": "pt"},
        "a.b": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "c": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
        "d": {"dtype": "BOOL", "shape": [0, 3], "data_offsets": [16, 16]},
    }
    assert content[8 + size :] == bytes.fromhex("0000c03f000000c00700000000000000")
    read = stand_in.load_file(tmp_path / "x.safetensors")
    assert list(read) == list(given)
    assert all(torch.equal(read[name], given[name]) for name in given)


# The solution, the template, and the samples


def test_the_solution_holds_the_references_answers(
    reference: ModuleType, solution: dict[str, Any], generator: torch.Generator
) -> None:
    x = torch.tensor([-3, 5, 0, -7])
    assert solution["rnn_output"](x) == reference.rnn_output(x) == 1
    tokens = reference.tokens_of_2b(1, 6.0, 5)
    torch.testing.assert_close(solution["self_attention"](tokens), reference.self_attention(tokens))
    q, k = (torch.rand(9, 4, generator=generator) for _ in range(2))
    v = torch.randn(9, 3, generator=generator)
    expected = reference.linear_attention(q, k, v)
    torch.testing.assert_close(solution["linear_attention"](q, k, v), expected)
    made = solution["ViT"](**ASKED)
    images = reference.with_patches_shuffled(1, 2, 28, 4)
    assert reference.asked_vit_holds([made(images)], shapes_of(made), {}) is True


@pytest.mark.slow
def test_the_solutions_models_are_right_on_what_is_withheld(
    reference: ModuleType, solution: dict[str, Any]
) -> None:
    images, labels = reference.withheld_images(5)
    assert (solution["predict"](images) == labels).float().mean() > 0.9
    sentences, truth = reference.withheld_reviews(5)
    said = torch.tensor([solution["predict_sentiment"](sentence) for sentence in sentences])
    assert reference.sentiment_accuracy(said, truth) > 0.88
    assert solution["valid_losses"][-1] < 0.7 * solution["valid_losses"][0]
    assert solution["n_parameters"] == sum(p.numel() for p in solution["sentiment"].parameters())


def test_the_template_answers_nothing(tmp_path: Path) -> None:
    template = run(STUDENT / "nyu_hw2.ipynb", tmp_path)
    assert [template[name] for name in ("recurrence", "norms", "n_parameters")] == [None] * 3
    assert template["approximations"] == dict.fromkeys(("y1", "y2", "y3"))
    assert template["valid_losses"] == []
    assert template["predict"](torch.zeros(1, 1, 28, 28)) is None
    assert template["predict_sentiment"]("fine") is None
    assert list(template["ViT"](**ASKED).parameters()) == []


def test_the_committed_notebooks_are_those_of_the_texts(samples: ModuleType) -> None:
    stale = [
        str(path)
        for path, text in samples.notebooks("nyu_hw2").items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert stale == []


def test_every_sample_says_what_it_must_earn() -> None:
    expected = yaml.safe_load((SAMPLES / "expected.yaml").read_text(encoding="utf-8"))
    assert sorted(expected) == sorted(p.name for p in SAMPLES.iterdir() if p.is_dir())
    for student, says in expected.items():
        points = {str(question): earned for question, earned in says["points"].items()}
        named = {} if says["status"] == "unreadable" else POINTS | CHECKS
        assert sorted(says) == ["points", "says", "status"], student
        assert says["status"] in STATUSES, student
        assert points.keys() == named.keys(), student
        assert points.pop("2c", 0) in ("pending", 0), student
        earned = {name: got for name, got in points.items() if (name, got) != ("1", "pending")}
        assert all(0 <= got <= named[name] for name, got in earned.items()), student
    assert {says["status"] for says in expected.values()} == STATUSES
