import importlib.util
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
STUDENT = ROOT / "reference" / "nyu_hw4" / "student"
SOLUTION = ROOT / "reference" / "nyu_hw4" / "solution" / "nyu_hw4.ipynb"
SAMPLES = ROOT / "submissions" / "nyu_hw4"

POINTS = {"1a": 1, "1b": 1, "1c": 1, "2a": 1, "2b": 1, "2c": "pending", "2d": 1, "3": 3}
STATUSES = {"complete", "time_limit", "memory_limit", "kernel_died", "unreadable", "missing"}


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tested_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks train many times faster on one thread, the more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return module_at(ROOT / "reference" / "nyu_hw4" / "reference.py")


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    return module_at(ROOT / "scripts" / "make_samples.py")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_solution(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> dict[str, Any]:
    """Run the solution's cells one after the other, beside the training data."""
    script = folder / "solution.py"
    code = "\n\n".join(code_of(SOLUTION))
    script.write_text(code.replace("manual_seed(0)", f"manual_seed({seed})"), encoding="utf-8")
    monkeypatch.chdir(STUDENT)
    return runpy.run_path(str(script))


# Question 1


def pattern(n: int, allowed: Callable[[int, int], bool]) -> torch.Tensor:
    return torch.tensor([[allowed(i, j) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("n", range(1, 12))
def test_the_causal_mask_and_its_count_are_those_of_the_definition(
    reference: ModuleType, n: int
) -> None:
    expected = pattern(n, lambda i, j: j <= i)
    assert torch.equal(reference.causal_mask(n), expected)
    assert expected.sum() == n * (n + 1) // 2


@pytest.mark.parametrize(("n", "t"), [(n, t) for n in range(1, 11) for t in range(n)])
def test_the_strided_mask_and_its_count_are_those_of_the_definition(
    reference: ModuleType, n: int, t: int
) -> None:
    expected = pattern(n, lambda i, j: j in range(i - t, i + 1))
    assert torch.equal(reference.strided_mask(n, t), expected)
    assert expected.sum() == (t + 1) * (2 * n - t) // 2


@pytest.mark.parametrize(("k", "w"), [(k, w) for k in range(1, 6) for w in range(1, 6)])
def test_the_windowed_mask_and_its_count_are_those_of_the_definition(
    reference: ModuleType, k: int, w: int
) -> None:
    n = k * w
    expected = pattern(n, lambda i, j: j <= i and j >= i - i % w)
    assert torch.equal(reference.windowed_mask(n, w), expected)
    assert expected.sum() == n * (w + 1) // 2


def test_masks_are_bool(reference: ModuleType) -> None:
    masks = (
        reference.causal_mask(4),
        reference.strided_mask(4, 1),
        reference.windowed_mask(4, 2),
    )
    assert {mask.dtype for mask in masks} == {torch.bool}


MASK_MISTAKES = {
    "causal_mask": ["full", "strict_causal", "transposed_causal", "inverted_causal"],
    "strided_mask": [
        "strict_strided",
        "transposed_strided",
        "symmetric_strided",
        "inverted_strided",
        "strided_mask_one_too_narrow",
    ],
    "windowed_mask": [
        "full_windowed",
        "strict_windowed",
        "transposed_windowed",
        "sliding_windowed",
        "inverted_windowed",
    ],
}


@pytest.mark.parametrize("right", MASK_MISTAKES)
def test_the_right_mask_and_its_mistakes_all_differ(reference: ModuleType, right: str) -> None:
    names = [n if "_mask" in n else f"{n}_mask" for n in MASK_MISTAKES[right]]
    sizes = (9,) if right == "causal_mask" else (9, 3)
    seen = {tuple(getattr(reference, name)(*sizes).flatten().tolist()) for name in [right, *names]}
    assert len(seen) == 1 + len(names)


@pytest.mark.parametrize(
    ("name", "sizes", "count"),
    [
        ("full_mask", (7,), 7 * 7),
        ("strided_mask_one_too_narrow", (7, 3), 3 * (2 * 7 - 3 + 1) // 2),
        ("full_windowed_mask", (8, 4), 8 * 4),
    ],
)
def test_a_mistaken_mask_has_the_count_that_goes_with_it(
    reference: ModuleType, name: str, sizes: tuple[int, ...], count: int
) -> None:
    assert getattr(reference, name)(*sizes).sum() == count


# Question 2


def grid(generator: torch.Generator, n: int, c: int, h: int) -> list[torch.Tensor]:
    """Random x, w_in, w_left and w_top in float64."""
    shapes = [(n, n, c), (h, c), (h, h), (h, h)]
    return [torch.randn(s, generator=generator, dtype=torch.float64) / 2 for s in shapes]


def rnn2d_in_scalars(x: Any, w_in: Any, w_left: Any, w_top: Any) -> torch.Tensor:
    """The sheet's equation, one number at a time."""
    n, c, h = len(x), len(w_in[0]), len(w_in)
    state: dict[tuple[int, int, int], float] = {}
    for i in range(n):
        for j in range(n):
            for k in range(h):
                total = sum(w_in[k][m] * x[i][j][m] for m in range(c))
                total += sum(w_left[k][m] * state.get((i - 1, j, m), 0.0) for m in range(h))
                total += sum(w_top[k][m] * state.get((i, j - 1, m), 0.0) for m in range(h))
                state[i, j, k] = np.tanh(total)
    return torch.tensor(list(state.values()), dtype=torch.float64).reshape(n, n, h)


@pytest.mark.parametrize(("n", "c", "h"), [(1, 1, 1), (2, 3, 2), (4, 2, 3), (5, 1, 4)])
def test_rnn2d_equals_the_equation_in_scalars(
    reference: ModuleType, generator: torch.Generator, n: int, c: int, h: int
) -> None:
    given = grid(generator, n, c, h)
    expected = rnn2d_in_scalars(*(tensor.tolist() for tensor in given))
    torch.testing.assert_close(reference.rnn2d(*given), expected)


def test_gradients_of_rnn2d_equal_finite_differences(
    reference: ModuleType, generator: torch.Generator
) -> None:
    given = [tensor.requires_grad_() for tensor in grid(generator, 3, 2, 2)]
    assert torch.autograd.gradcheck(reference.rnn2d, given)


def test_rnn2d_applies_the_activation_that_it_is_given(
    reference: ModuleType, generator: torch.Generator
) -> None:
    given = grid(generator, 4, 2, 3)
    linear = reference.rnn2d(*given, activation=lambda state: state)
    assert torch.equal(linear, reference.rnn2d_without_activation(*given))
    assert (reference.rnn2d(*given, activation=torch.relu) >= 0).all()


def test_rnn2d_and_its_mistakes_all_differ(
    reference: ModuleType, generator: torch.Generator
) -> None:
    given = grid(generator, 4, 2, 3)
    names = [name for name in vars(reference) if name.startswith("rnn2d")]
    outputs = [getattr(reference, name)(*given) for name in names]
    assert len(names) == 5
    for i, output in enumerate(outputs):
        assert not any(torch.allclose(output, other) for other in outputs[:i])


@pytest.mark.parametrize(("c", "h"), [(1, 1), (3, 5), (4, 2)])
def test_rnn2d_has_as_many_parameters_as_2a_says(
    generator: torch.Generator, c: int, h: int
) -> None:
    _, *weights = grid(generator, 2, c, h)
    assert sum(weight.numel() for weight in weights) == c * h + 2 * h**2


# Question 3


def torchs_attention(ours: Any, d_model: int, n_heads: int) -> torch.nn.Module:
    """torch.nn.MultiheadAttention with the weights of our module."""
    theirs = torch.nn.MultiheadAttention(d_model, n_heads, batch_first=True).double()
    layers = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
    return theirs


@pytest.mark.parametrize(("d_model", "n_heads"), [(4, 1), (8, 2), (16, 4), (6, 6)])
@pytest.mark.parametrize("masked", [False, True], ids=["no-mask", "mask"])
def test_self_attention_equals_torchs_own(
    reference: ModuleType, generator: torch.Generator, d_model: int, n_heads: int, masked: bool
) -> None:
    ours = reference.SelfAttention(d_model, n_heads).double()
    x = torch.randn(2, 6, d_model, generator=generator, dtype=torch.float64)
    mask = reference.windowed_mask(6, 3) if masked else None
    forbidden = None if mask is None else ~mask  # torch marks what may not be attended to
    theirs = torchs_attention(ours, d_model, n_heads)
    expected, _ = theirs(x, x, x, attn_mask=forbidden, need_weights=False)
    torch.testing.assert_close(ours(x, mask), expected)


def test_gradients_of_self_attention_equal_finite_differences(
    reference: ModuleType, generator: torch.Generator
) -> None:
    attention = reference.SelfAttention(4, 2).double()
    x = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*attention.named_parameters(), strict=True)

    def forward(x: torch.Tensor, *weights: torch.Tensor) -> Any:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(attention, given, (x, reference.causal_mask(3)))

    assert torch.autograd.gradcheck(forward, (x, *weights))


@pytest.mark.parametrize(("d_model", "n_heads"), [(4, 1), (16, 4)])
def test_self_attention_has_four_layers_with_bias(
    reference: ModuleType, d_model: int, n_heads: int
) -> None:
    attention = reference.SelfAttention(d_model, n_heads)
    expected: dict[str, tuple[int, ...]] = {}
    for name in ("query", "key", "value", "proj"):
        expected |= {f"{name}.weight": (d_model, d_model), f"{name}.bias": (d_model,)}
    assert {name: tuple(p.shape) for name, p in attention.named_parameters()} == expected


def test_what_the_mask_forbids_has_no_influence(
    reference: ModuleType, generator: torch.Generator
) -> None:
    attention = reference.SelfAttention(8, 2)
    x = torch.randn(1, 5, 8, generator=generator)
    changed = x.clone()
    changed[:, 3:] = 1e3
    mask = reference.causal_mask(5)
    assert torch.equal(attention(x, mask)[:, :3], attention(changed, mask)[:, :3])


def test_self_attention_and_its_mistakes_all_differ(
    reference: ModuleType, generator: torch.Generator
) -> None:
    names = ["SelfAttention", "unscaled_attention"]
    names += [name for name in vars(reference) if name.startswith("attention_")]
    x = torch.randn(2, 5, 16, generator=generator)
    shapes = reference.SelfAttention(16, 2).state_dict()
    weights = {k: torch.randn(v.shape, generator=generator) / 2 for k, v in shapes.items()}
    outputs: list[torch.Tensor] = []
    for name in names:
        attention = getattr(reference, name)(16, 2)  # with 4 heads, d_head = sqrt(d_model)
        attention.load_state_dict(weights)
        outputs.append(attention(x, reference.causal_mask(5)).detach())
    assert len(names) == 8
    for i, output in enumerate(outputs):
        assert not any(torch.allclose(output, other, atol=1e-4) for other in outputs[:i])


# The made-up task


@pytest.mark.parametrize("seed", [0, 1, 2024])
def test_withheld_sequences_have_one_most_frequent_symbol(reference: ModuleType, seed: int) -> None:
    tokens, labels = reference.withheld_sequences(seed)
    counts = torch.stack([(tokens == symbol).sum(dim=1) for symbol in range(5)], dim=1)
    most = counts.max(dim=1, keepdim=True).values
    assert (tokens.shape, tokens.dtype) == ((500, 15), torch.int64)
    assert (labels.shape, labels.dtype) == ((500,), torch.int64)
    assert (tokens.min(), tokens.max()) == (0, 4)
    assert ((counts == most).sum(dim=1) == 1).all()
    assert torch.equal(counts.gather(1, labels[:, None]), most)


def test_withheld_sequences_depend_on_the_seed_and_on_nothing_else(reference: ModuleType) -> None:
    first, _ = reference.withheld_sequences(3)
    torch.rand(5)
    again, _ = reference.withheld_sequences(3)
    other, _ = reference.withheld_sequences(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_label_is_about_as_frequent(reference: ModuleType) -> None:
    _, labels = reference.training_sequences()
    assert labels.bincount(minlength=5).min() > 350


def test_the_training_data_is_what_the_generator_gives(reference: ModuleType) -> None:
    tokens, labels = reference.training_sequences()
    with np.load(STUDENT / "data" / "train.npz") as data:
        assert sorted(data.files) == ["labels", "tokens"]
        assert np.array_equal(data["tokens"], tokens.numpy())
        assert np.array_equal(data["labels"], labels.numpy())


# The solution, the template, and the samples


@pytest.mark.slow
def test_the_solution_holds_the_references_answers(
    reference: ModuleType,
    generator: torch.Generator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solution = run_solution(tmp_path, monkeypatch)
    given = [tensor.float() for tensor in grid(generator, 4, 2, 3)]
    for name, sizes in (("causal", (9,)), ("strided", (9, 4)), ("windowed", (9, 3))):
        seen, expected = solution[f"{name}_mask"], getattr(reference, f"{name}_mask")
        assert torch.equal(seen(*sizes), expected(*sizes))
    torch.testing.assert_close(solution["rnn2d"](*given), reference.rnn2d(*given))
    ours, theirs = reference.SelfAttention(16, 4), solution["SelfAttention"](16, 4)
    theirs.load_state_dict(ours.state_dict())
    x, mask = torch.randn(2, 7, 16, generator=generator), reference.causal_mask(7)
    torch.testing.assert_close(theirs(x, mask), ours(x, mask))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_solution_learns_the_task_from_any_seed(
    reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    solution = run_solution(tmp_path, monkeypatch, seed=seed)
    tokens, labels = reference.withheld_sequences(seed)
    losses = solution["losses"]
    assert (solution["predict"](tokens) == labels).float().mean() > 0.97
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:20])


def test_the_template_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "template.py"
    script.write_text("\n\n".join(code_of(STUDENT / "nyu_hw4.ipynb")), encoding="utf-8")
    monkeypatch.chdir(STUDENT)
    template = runpy.run_path(str(script))
    formulas = ("causal_count", "strided_count", "windowed_count", "rnn2d_params", "rnn2d_ops")
    assert [template[name] for name in formulas] == [None] * 5
    assert (template["losses"], template["predict"](torch.zeros(1, 15))) == ([], None)
    assert list(template["SelfAttention"](16, 4).parameters()) == []


def test_the_committed_notebooks_are_those_of_the_texts(samples: ModuleType) -> None:
    stale = [
        str(path)
        for path, text in samples.notebooks("nyu_hw4").items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert stale == []


def test_every_sample_says_what_it_must_earn() -> None:
    expected = yaml.safe_load((SAMPLES / "expected.yaml").read_text(encoding="utf-8"))
    assert sorted(expected) == sorted(p.name for p in SAMPLES.iterdir() if p.is_dir())
    for student, says in expected.items():
        points = {str(question): earned for question, earned in says["points"].items()}
        assert sorted(says) == ["points", "says", "status"], student
        assert says["status"] in STATUSES, student
        assert list(points) == ([] if says["status"] == "unreadable" else list(POINTS)), student
        assert points.pop("2c", 0) in ("pending", 0), student
        assert all(0 <= earned <= POINTS[q] for q, earned in points.items()), student


@pytest.mark.parametrize("question", ["1a", "1b", "1c", "2a", "2b"])
def test_the_corpus_names_no_answer_twice(question: str) -> None:
    text = (ROOT / "tests" / "answers" / "nyu_hw4.yaml").read_text(encoding="utf-8")
    answers = yaml.safe_load(text)[question]
    every = [*answers["right"], *answers["wrong"], *answers["unclear"]]
    assert len(every) == len(set(every))
