import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterator
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
HOME = ROOT / "reference" / "iith_a5"
STUDENT = HOME / "student"
SAMPLES = ROOT / "submissions" / "iith_a5"
STATUSES = {"complete", "time_limit", "memory_limit", "kernel_died", "unreadable", "missing"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return Reference(HOME / "reference.py").module


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples_a5", ROOT / "scripts/make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def double(*shape: int, gradient: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=gradient)


def gradients_agree(module: nn.Module, *inputs: Any) -> bool:
    """Whether gradients by a module's parameters equal finite differences."""
    names, values = zip(*module.named_parameters(), strict=True)

    def forward(*values: Tensor) -> Any:
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), inputs)

    return torch.autograd.gradcheck(forward, values)


def all_differ(outputs: list[Tensor]) -> bool:
    return not any(
        one.shape == other.shape and torch.allclose(one, other, atol=1e-3)
        for number, one in enumerate(outputs)
        for other in outputs[:number]
    )


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Question 2


@pytest.mark.parametrize(("m", "d"), [(3, 3), (4, 9), (16, 16)])
def test_exact_keys_are_orthonormal_without_any_rounding(
    reference: ModuleType, m: int, d: int
) -> None:
    keys = reference.exact_keys(7, m, d)
    assert keys.shape == (m, d)
    assert torch.equal(keys @ keys.T, torch.eye(m))


@pytest.mark.parametrize("scale", [8, 50.0, 1e4, 1e30])
def test_a_query_that_is_long_enough_copies_and_averages(
    reference: ModuleType, scale: float
) -> None:
    keys = reference.exact_keys(1, 5, 9)
    query = scale * keys[2]
    assert reference.copies(query, keys, 2) is True
    assert reference.copies(query.double()[:, None], keys, 2) is True
    assert reference.averages(scale * (keys[0] + keys[4]), keys, 4, 0) is True


def test_queries_of_the_reference_do_what_they_are_for(reference: ModuleType) -> None:
    keys = reference.exact_keys(2, 6, 8)
    weights = torch.softmax(keys @ reference.copy_query(keys, 1), dim=0)
    torch.testing.assert_close(weights, torch.eye(6)[1])
    weights = torch.softmax(keys @ reference.average_query(keys, 1, 3), dim=0)
    torch.testing.assert_close(weights, (torch.eye(6)[1] + torch.eye(6)[3]) / 2)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (torch.ones(3), "A query has as many numbers as a key."),
        (torch.full((4,), math.nan), "The query holds a number that is not finite."),
        (torch.zeros(4), "The weight of value j is not near one."),
    ],
    ids=["short", "nan", "zero"],
)
def test_what_is_wrong_with_a_query_is_said(
    reference: ModuleType, query: Tensor, says: str
) -> None:
    assert reference.copies(query, torch.eye(4), 1) == says


def test_each_mistaken_query_is_known_by_its_own_name_only(reference: ModuleType) -> None:
    keys = reference.exact_keys(3, 4, 4)
    known = {
        "copies": [keys[1], 50 * keys[2], keys[1] + keys[2]],
        "averages": [keys[1] + keys[2], 50 * keys[2], 50 * (2 * keys[1] + keys[2])],
    }
    names = {
        "copies": ["copies_with_short_query", "copies_another"],
        "averages": ["averages_with_short_query", "averages_one_only"],
    }
    seen = {
        kind: [
            [getattr(reference, name)(query, keys, *places) for name in names[kind]]
            for query in queries
        ]
        for (kind, queries), places in zip(known.items(), [(1,), (1, 2)], strict=True)
    }
    assert seen == {
        "copies": [[True, False], [False, True], [False, False]],
        "averages": [[True, False], [False, True], [False, True]],
    }


# Question 3 and the ELBO


def log_normal(z: Tensor, mu: Tensor | float, sigma: Tensor | float) -> Tensor:
    """Logarithm of a normal distribution's density."""
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    return -(((z - mu) / sigma) ** 2) / 2 - sigma.log() - math.log(2 * math.pi) / 2


def kl_by_integration(mu: float, log_sigma: float) -> float:
    """The integral of q log(q / p) over twelve spreads to each side."""
    sigma = math.exp(log_sigma)
    z = torch.linspace(mu - 12 * sigma, mu + 12 * sigma, 200_001, dtype=torch.float64)
    log_q, log_p = log_normal(z, mu, sigma), log_normal(z, 0.0, 1.0)
    return torch.trapezoid(log_q.exp() * (log_q - log_p), z).item()


def test_the_divergence_equals_the_integral(reference: ModuleType) -> None:
    mu, log_sigma = double(3, 2), double(3, 2)
    pairs = zip(mu.flatten().tolist(), log_sigma.flatten().tolist(), strict=True)
    expected = torch.tensor([kl_by_integration(*pair) for pair in pairs], dtype=torch.float64)
    seen = reference.gaussian_kl(mu, log_sigma)
    torch.testing.assert_close(seen, expected.reshape(3, 2).sum(dim=1))


def test_the_elbo_equals_the_mean_over_draws_of_z(reference: ModuleType) -> None:
    x, x_hat, mu, log_sigma = double(1, 3), double(1, 3), double(1, 2), double(1, 2) / 2
    sigma = log_sigma.exp()
    z = mu + sigma * double(400_000, 2)
    log_likelihood = (log_normal(x, x_hat, 1.0) + math.log(2 * math.pi) / 2).sum()
    log_ratio = (log_normal(z, 0.0, 1.0) - log_normal(z, mu, sigma)).sum(dim=1)
    drawn = log_likelihood + log_ratio.mean()
    seen = reference.elbo(x, x_hat, mu, log_sigma)
    torch.testing.assert_close(seen, drawn[None], rtol=0, atol=0.02)


def test_gradients_of_the_elbo_equal_finite_differences(reference: ModuleType) -> None:
    given = [double(3, 4, gradient=True) for _ in range(4)]
    assert torch.autograd.gradcheck(reference.elbo, given)
    assert torch.autograd.gradcheck(reference.gaussian_kl, given[2:])


def test_the_divergence_and_its_mistakes_all_differ(reference: ModuleType) -> None:
    names = ["gaussian_kl", *(n for n in vars(reference) if n.startswith("kl_"))]
    names.remove("kl_alone")
    given = torch.randn(3, 3), torch.randn(3, 3)
    assert len(names) == 6
    assert all_differ([getattr(reference, name)(*given) for name in [*names, "negative_kl"]])


def test_the_elbo_and_its_mistakes_all_differ(reference: ModuleType) -> None:
    names = ["kl_alone", "negative_kl_alone", "reconstruction_alone", "negative_elbo"]
    names += [name for name in vars(reference) if name.startswith("elbo")]
    given = [torch.randn(3, 3) for _ in range(4)]
    assert len(names) == 13
    assert all_differ([getattr(reference, name)(*given) for name in names])


# Question 4


def by_autograd(rounds: int) -> tuple[list[float], list[float]]:
    """Alternating steps of size one along torch's own gradients of p q, from (1, 1)."""
    p, q = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    paths: tuple[list[float], list[float]] = ([1.0], [1.0])
    for _ in range(rounds):
        (up,) = torch.autograd.grad(p * q, q)
        q = (q + up).detach().requires_grad_()
        (down,) = torch.autograd.grad(p * q, p)
        p = (p - down).detach().requires_grad_()
        paths[0].append(p.item())
        paths[1].append(q.item())
    return paths


def rubric() -> dict[str, Any]:
    text = (ROOT / "rubrics" / "iith_a5.yaml").read_text(encoding="utf-8")
    return {str(question["id"]): question for question in yaml.safe_load(text)["questions"]}


def test_the_steps_in_the_rubric_are_those_of_a_simulation() -> None:
    p, q = by_autograd(12)
    checks = rubric()["4a"]["checks"]
    assert checks[0]["equals"] == q[:7] == q[6:]
    assert checks[1]["equals"] == p[:7] == p[6:]
    assert p[1:] == [-before for before in q[:-1]]
    rounds = next(n for n in range(1, 13) if (p[n], q[n]) == (1, 1))
    assert rubric()["4b"]["checks"][1]["equals"] == rounds


def test_mistaken_steps_all_differ_from_the_right_ones(reference: ModuleType) -> None:
    for letter, right in zip("pq", by_autograd(6), strict=True):
        names = [f"{kind}_{letter}_steps" for kind in ("simultaneous", "p_first", "downhill")]
        paths = [getattr(reference, name)() for name in names]
        assert len({tuple(path) for path in [right, *paths]}) == 4
        assert {len(path) for path in paths} == {7}
    assert reference.simultaneous_q_steps() == [1, 2, 2, 0, -4, -8, -8]


# P1


def lstm_by_hand(decoder: Any, steps: Tensor) -> Tensor:
    """Scores after every step of one caption, one cell at a time."""
    given = list(steps)
    size = decoder.lstm.hidden_size
    for layer in range(decoder.lstm.num_layers):
        w_ih, w_hh, b_ih, b_hh = decoder.lstm.all_weights[layer]
        h, c, found = torch.zeros(size), torch.zeros(size), []
        for x in given:
            i, f, g, o = (w_ih @ x + b_ih + w_hh @ h + b_hh).split(size)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            found.append(h)
        given = found
    scores: Tensor = decoder.linear(torch.stack(given))
    return scores


def test_the_decoder_scores_what_the_equations_give(reference: ModuleType) -> None:
    decoder = reference.DecoderRNN(4, 3, 7, 2)
    features, captions = torch.randn(2, 4), torch.randint(7, (2, 5))
    steps = torch.cat([features[:, None], decoder.embed(captions)], dim=1)
    long, short = lstm_by_hand(decoder, steps[0, :5]), lstm_by_hand(decoder, steps[1, :2])
    packed = torch.stack([long[0], short[0], long[1], short[1], *long[2:]])
    torch.testing.assert_close(decoder(features, captions, [5, 2]), packed)


def test_a_sample_is_the_best_word_after_all_before(reference: ModuleType) -> None:
    decoder = reference.DecoderRNN(4, 8, 30, 2, 6)
    features = torch.randn(3, 4)
    words = decoder.sample(features)
    assert (words.shape, words.dtype) == ((3, 6), torch.int64)
    for image in range(3):
        steps = torch.cat([features[image][None], decoder.embed(words[image, :-1])])
        assert torch.equal(lstm_by_hand(decoder, steps).argmax(dim=1), words[image])


def test_a_sample_has_twenty_words_if_nothing_else_is_said(reference: ModuleType) -> None:
    assert reference.DecoderRNN(4, 3, 7, 1).sample(torch.randn(2, 4)).shape == (2, 20)


def test_gradients_of_the_decoder_equal_finite_differences(reference: ModuleType) -> None:
    decoder = reference.DecoderRNN(2, 2, 3, 1).double()
    assert gradients_agree(decoder, double(2, 2), torch.tensor([[0, 1, 2], [2, 1, 0]]), [3, 2])


@pytest.mark.parametrize("layers", [1, 2])
def test_the_decoder_has_the_parameters_of_its_layers(reference: ModuleType, layers: int) -> None:
    e, h, v = 6, 5, 11
    lstm = 4 * h * (e + h + 2) + (layers - 1) * 4 * h * (2 * h + 2)
    assert count(reference.DecoderRNN(e, h, v, layers)) == v * e + lstm + h * v + v


def decoders(reference: ModuleType, names: list[str], *build: int) -> list[Any]:
    """The decoders of these names, all with the same weights."""
    made = [getattr(reference, name)(*build) for name in names]
    weights = {k: w + 0.1 * torch.randn_like(w) for k, w in made[0].state_dict().items()}
    weights["linear.bias"] *= 0
    for decoder in made:
        decoder.load_state_dict(weights)
    return made


def test_the_decoders_mistakes_give_other_scores(reference: ModuleType) -> None:
    names = ["decoder_without_features", "decoder_of_padded_scores", "decoder_without_packing"]
    made = decoders(reference, ["DecoderRNN", *names], 6, 5, 11, 2)
    features, captions = torch.randn(3, 6), torch.randint(11, (3, 5))
    assert all_differ([decoder(features, captions, [5, 4, 2]) for decoder in made])


def test_the_decoders_other_forms_hold_the_same_words(reference: ModuleType) -> None:
    names = ["decoder_that_squeezes", "decoder_of_listed_words"]
    right, squeezed, listed = decoders(reference, ["DecoderRNN", *names], 32, 16, 40, 1, 20)
    one, two = torch.randn(1, 32), torch.randn(2, 32)
    assert torch.equal(squeezed.sample(one), right.sample(one)[0])
    assert torch.equal(squeezed.sample(two), right.sample(two))
    assert torch.equal(torch.stack(listed.sample(two), dim=1), right.sample(two))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (torch.ones(3, 7), True),
        ([torch.ones(3)] * 7, True),
        ([[1] * 7] * 3, True),
        (np.ones((7, 3)), True),
        (torch.ones(3, 20), "Always 20 words come out; max_seq_length says how many."),
        (torch.ones(3, 6), "The words are not max_seq_length for each item."),
        (None, "The words are not max_seq_length for each item."),
    ],
)
def test_a_sample_is_as_long_as_asked(reference: ModuleType, words: Any, says: bool | str) -> None:
    assert reference.has_seven_words([words], [{"features": torch.ones(3, 6)}]) == says


def test_the_decoders_mistakes_give_other_samples(reference: ModuleType) -> None:
    names = ["decoder_that_forgets", "decoder_that_repeats_features"]
    made = decoders(reference, ["DecoderRNN", *names], 32, 16, 40, 1)
    features = torch.randn(5, 32)
    assert all_differ([decoder.sample(features).float() for decoder in made])


def test_the_encoder_turns_images_into_features(reference: ModuleType) -> None:
    encoder = reference.EncoderCNN(6)
    assert encoder(torch.randn(2, 3, 32, 32)).shape == (2, 6)
    assert encoder.bn.momentum == 0.01


@pytest.mark.slow
def test_features_are_normalised_over_the_batch(reference: ModuleType) -> None:
    pictures = reference.pictures(3, 16)
    encoder = reference.EncoderCNN(6).train()
    features = encoder(pictures).detach()
    assert reference.is_normalised([features]) is True
    says = "The features are not normalised; they go through linear, then through bn."
    assert reference.is_normalised([encoder.eval()(pictures).detach()]) == says
    cut = "The features are cut off at zero; nothing follows bn."
    assert reference.is_normalised([features.relu()]) == cut
    form = "The features are not a tensor (batch, embed_size)."
    assert reference.is_normalised([[features]]) == form


def test_features_of_the_stand_in_are_normalised_too(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    resnet = stand_in(monkeypatch).models.resnet152(pretrained=True)
    encoder = reference.EncoderCNN(6)
    encoder.backbone = nn.Sequential(*list(resnet.children())[:-1])
    pictures = reference.pictures(3, 16)
    assert reference.is_normalised([encoder.train()(pictures).detach()]) is True
    plain = encoder.linear(encoder.backbone(pictures).flatten(1)).detach()
    says = "The features are not normalised; they go through linear, then through bn."
    assert reference.is_normalised([plain]) == says


def test_a_backbone_with_its_last_layer_is_noticed(reference: ModuleType) -> None:
    says = "The backbone still has its last layer, which scores 1000 classes."
    assert reference.drops_the_last_layer({"linear.weight": [6, 1000]}) == says
    assert reference.drops_the_last_layer({"linear.weight": [6, 512]}) is True
    assert reference.drops_the_last_layer({}) == "There is no layer linear."


def test_the_stand_in_has_the_layers_of_the_real_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = stand_in(monkeypatch)
    models = torchvision.models
    resnet = models.resnet152(pretrained=True).eval()
    assert [name for name, _ in resnet.named_children()] == [
        *("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
        *("avgpool", "fc"),
    ]
    images = torch.randn(2, 3, 40, 40)
    again = models.resnet152(weights=models.ResNet152_Weights.DEFAULT).eval()
    assert torch.equal(resnet(images), again(images))
    assert resnet(images).shape == (2, 1000)
    assert nn.Sequential(*list(resnet.children())[:-1])(images).shape == (2, 2048, 1, 1)
    assert models.resnet18(weights="DEFAULT").fc.in_features == 512


def test_the_stand_in_prepares_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    transforms = stand_in(monkeypatch).transforms
    steps = [transforms.ToTensor(), transforms.Resize(40), transforms.RandomCrop(32)]
    steps += [transforms.RandomHorizontalFlip(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    picture = transforms.Compose(steps)(np.full((50, 60, 3), 255, np.uint8))
    assert torch.equal(picture, torch.ones(3, 32, 32))


def test_the_stand_in_takes_the_usual_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    lines = [
        "import torchvision",
        "import torchvision.transforms as transforms",
        "import torchvision.models as models",
        "import torchvision.datasets as dset",
        "from torchvision import models, datasets, transforms, utils",
        "from torchvision.utils import save_image, make_grid",
        "from torchvision.datasets import MNIST",
        "from torchvision.models import resnet152, ResNet152_Weights",
    ]
    for line in lines:
        exec(line, {})  # noqa: S102 - written above


def test_the_stand_in_puts_pictures_side_by_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    utils = stand_in(monkeypatch).utils
    grid = utils.make_grid(torch.ones(5, 1, 4, 6), nrow=3, padding=1)
    assert grid.shape == (3, 10, 21)
    assert grid[:, 0, 0].tolist() == [1, 1, 1]
    assert utils.make_grid([torch.ones(3, 4, 4)] * 2).shape == (3, 6, 12)
    utils.save_image(grid, tmp_path / "grid.png", nrow=3)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in torchvision, imported afresh and forgotten after the test."""
    monkeypatch.syspath_prepend(str(STUDENT / "lib"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("torchvision")


# P2


@pytest.mark.parametrize("name", ["Encoder", "Decoder"])
def test_each_network_of_the_autoencoder_is_linear_relu_linear_relu(
    reference: ModuleType, name: str
) -> None:
    network, x = getattr(reference, name)(4, 6, 5), torch.randn(3, 4)
    hidden = (x @ network.linear1.weight.T + network.linear1.bias).clamp(min=0)
    out = (hidden @ network.linear2.weight.T + network.linear2.bias).clamp(min=0)
    torch.testing.assert_close(network(x), out)
    assert count(network) == 4 * 6 + 6 + 6 * 5 + 5


def test_gradients_of_the_networks_equal_finite_differences(reference: ModuleType) -> None:
    assert gradients_agree(reference.Encoder(3, 4, 2).double(), double(5, 3))


def test_the_networks_mistakes_all_differ(reference: ModuleType) -> None:
    names = ["Encoder", *(n for n in vars(reference) if n.startswith("network_"))]
    weights = {k: torch.randn_like(w) for k, w in reference.Encoder(4, 6, 5).state_dict().items()}
    outputs = []
    for name in names:
        network = getattr(reference, name)(4, 6, 5)
        network.load_state_dict(weights)
        outputs.append(network(torch.ones(3, 4)))
    assert len(names) == 4
    assert all_differ(outputs)


def vae(reference: ModuleType, name: str = "VAE") -> Any:
    """Autoencoder of the sizes that the rubric builds."""
    made = getattr(reference, name)
    return made(reference.Encoder(20, 12, 100), reference.Decoder(8, 12, 20))


def test_without_noise_the_autoencoder_decodes_the_mean(reference: ModuleType) -> None:
    made, x = vae(reference), torch.randn(3, 20)
    nn.init.zeros_(made._enc_log_sigma.weight)
    nn.init.constant_(made._enc_log_sigma.bias, -40)
    torch.testing.assert_close(made(x), made.decoder(made._enc_mu(made.encoder(x))))


def test_the_autoencoder_has_the_parameters_of_its_layers(reference: ModuleType) -> None:
    networks = count(reference.Encoder(20, 12, 100)) + count(reference.Decoder(8, 12, 20))
    assert count(vae(reference)) == networks + 2 * (100 * 8 + 8)


NOISE = {
    "sigma": (lambda log_sigma: log_sigma.exp(), True),
    "log-variance": (
        lambda log_sigma: (log_sigma / 2).exp(),
        "log_sigma is read as a log variance; sigma is exp(log_sigma).",
    ),
    "no-exp": (lambda log_sigma: log_sigma, "sigma is exp(log_sigma), not log_sigma itself."),
    "no-noise": (
        lambda log_sigma: 0 * log_sigma,
        "There is no noise in z; it is mu + sigma * noise.",
    ),
    "variance": (
        lambda log_sigma: (2 * log_sigma).exp(),
        "The noise in z has another spread than sigma = exp(log_sigma).",
    ),
}


def reconstructed(z: Tensor) -> Tensor:
    """What the decoder gives under the rubric's weights."""
    return 100 + z.sum(dim=1, keepdim=True).expand(-1, 20)


X: list[dict[str, Any]] = [{"x": torch.zeros(4000, 20)}]


@pytest.mark.parametrize("kind", NOISE)
def test_how_the_noise_is_scaled_shows_in_the_outputs_spread(
    reference: ModuleType, kind: str
) -> None:
    sigma: Callable[[Tensor], Tensor] = NOISE[kind][0]
    z = sigma(torch.full((4000, 8), 0.5)) * torch.randn(4000, 8)
    assert reference.spreads_by_sigma([reconstructed(z)], X) == NOISE[kind][1]


STRANGE: dict[str, tuple[Callable[[], Any], str]] = {
    "uniform": (
        lambda: reconstructed(math.exp(0.5) * torch.rand(4000, 8)),
        "The noise in z does not have mean zero.",
    ),
    "centred": (
        lambda: reconstructed(math.exp(0.5) * (torch.rand(4000, 8) - 0.5)),
        "The noise in z has another spread than sigma = exp(log_sigma).",
    ),
    "shared": (
        lambda: reconstructed(torch.full((1, 8), 0.3)).expand(4000, -1),
        "All items of a batch get the same noise, or none; each needs its own.",
    ),
    "sigmoid": (
        lambda: torch.ones(4000, 20),
        "The outputs do not follow z, so that its noise cannot be seen: look at the decoder.",
    ),
    "another-order": (
        lambda: torch.zeros(4000, 8),
        "The reconstruction, in the shape of x, has to be returned, first if not alone.",
    ),
    "dict": (
        lambda: {"x_hat": torch.zeros(4000, 20)},
        "The reconstruction, in the shape of x, has to be returned, first if not alone.",
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_other_outputs_are_said_to_be_what_they_are(reference: ModuleType, kind: str) -> None:
    output, says = STRANGE[kind]
    assert reference.spreads_by_sigma([output()], X) == says


def test_the_reference_spreads_by_sigma_under_the_rubrics_weights(reference: ModuleType) -> None:
    made = vae(reference)
    given = next(c for c in rubric()["P2"]["checks"] if c.get("name") == "VAE's noise")["weights"]
    for name, value in given.items():
        nn.init.constant_(dict(made.named_parameters())[name], value)
    assert reference.spreads_by_sigma([made(torch.randn(4000, 20)).detach()], X) is True


# P3


def layer(reference: ModuleType, name: str = "CustomEncoderLayer", ff: int = 12) -> Any:
    return getattr(reference, name)(8, 2, ff).eval()


@pytest.mark.parametrize("masked", [False, True], ids=["no-mask", "masks"])
def test_with_an_idle_linear2_the_layer_is_torchs_own(reference: ModuleType, masked: bool) -> None:
    ours = layer(reference, ff=256)
    nn.init.eye_(ours.linear2.weight)  # a relu after a relu changes nothing
    nn.init.zeros_(ours.linear2.bias)
    theirs = nn.TransformerEncoderLayer(8, 2, dim_feedforward=256).eval()
    state = ours.state_dict()
    state |= {f"linear2.{part}": state[f"linear3.{part}"] for part in ("weight", "bias")}
    theirs.load_state_dict({k: w for k, w in state.items() if not k.startswith("linear3")})
    masks = {}
    if masked:
        masks["src_mask"] = reference.later_tokens(0, 5)
        masks["src_key_padding_mask"] = reference.padding(0, 3, 5)
    src = torch.randn(5, 3, 8)
    torch.testing.assert_close(ours(src, **masks), theirs(src, **masks), rtol=1e-4, atol=1e-5)


def test_gradients_of_the_layer_equal_finite_differences(reference: ModuleType) -> None:
    small = reference.CustomEncoderLayer(2, 1, 2).double().eval()
    small.linear1, small.linear2 = nn.Linear(2, 3).double(), nn.Linear(3, 2).double()
    assert gradients_agree(small, double(3, 1, 2), reference.later_tokens(0, 3))


def test_the_layer_has_the_parameters_of_its_parts(reference: ModuleType) -> None:
    d, ff = 8, 12
    linear = (d * 256 + 256) + (256 * ff + ff) + (ff * d + d)
    assert count(layer(reference)) == 4 * (d * d + d) + linear + 2 * 2 * d


def test_masks_mark_what_may_not_be_seen(reference: ModuleType) -> None:
    assert reference.later_tokens(0, 3).tolist() == [
        [False, True, True],
        [False, False, True],
        [False, False, False],
    ]
    assert reference.padding(0, 2, 3).tolist() == [[False, False, False], [False, False, True]]
    made = layer(reference)
    src = torch.randn(4, 2, 8)
    changed = src.clone()
    changed[3, 1] = 9.0
    given = reference.later_tokens(0, 4), reference.padding(0, 2, 4)
    torch.testing.assert_close(made(src, *given)[:3], made(changed, *given)[:3])


def test_the_layer_and_its_mistakes_all_differ(reference: ModuleType) -> None:
    names = [name for name in vars(reference) if name.startswith("layer_")]
    weights = {k: w + 0.3 * torch.randn_like(w) for k, w in layer(reference).state_dict().items()}
    src = torch.randn(4, 3, 8)
    outputs = []
    for name in ["CustomEncoderLayer", *names]:
        made = layer(reference, name)
        made.load_state_dict(weights)
        outputs.append(made(src, reference.later_tokens(0, 4), reference.padding(0, 3, 4)))
    assert len(names) == 8
    assert all_differ(outputs)


def test_the_narrow_layer_has_other_shapes(reference: ModuleType) -> None:
    made = layer(reference, "narrow_layer")
    assert (made.linear1.out_features, made.linear2.in_features) == (12, 12)


# P4


def test_the_determinant_is_that_of_autograd(reference: ModuleType) -> None:
    z = double(6, 2)
    jacobians = [torch.func.jacrev(lambda one: reference.f(one[None])[0])(one) for one in z]
    torch.testing.assert_close(
        reference.abs_det_jacobian(z), torch.linalg.det(torch.stack(jacobians)).abs()
    )


def test_h_prime_is_the_derivative_of_h(reference: ModuleType) -> None:
    x = double(9, gradient=True)
    (derivative,) = torch.autograd.grad(reference.h(x).sum(), x)
    torch.testing.assert_close(reference.h_prime(x), derivative)


def test_the_density_sums_up_as_in_numpy(reference: ModuleType) -> None:
    line = np.linspace(-3, 3, 1000)
    x, y = np.meshgrid(line, line)
    stretch = np.abs(1 + 15 * (1 - np.tanh(5 * x) ** 2))
    before = np.exp(-(x**2 + y**2) / 2) / (2 * np.pi)
    for name, density in (
        ("q1", before / stretch),
        ("q0", before),
    ):
        np.testing.assert_allclose(getattr(reference, f"{name}_mean")(), density.mean())
        np.testing.assert_allclose(getattr(reference, f"{name}_std")(), density.std())


@pytest.mark.slow
def test_a_grid_without_its_last_points_is_near_enough(reference: ModuleType) -> None:
    line = torch.arange(-3, 3, 0.006, dtype=torch.float64)
    z = torch.cartesian_prod(line, line)
    density = torch.exp(-(z**2).sum(dim=1) / 2) / (2 * math.pi) / reference.abs_det_jacobian(z)
    told = {check.get("value"): check for check in rubric()["P4"]["checks"]}
    for name, seen in (("q1_mean", density.mean()), ("q1_std", density.std())):
        near = float(told[name]["rtol"])
        assert seen.item() == pytest.approx(getattr(reference, name)(), rel=near)
        assert seen.item() != pytest.approx(getattr(reference, name)(), rel=1e-4)


def test_a_determinant_may_stand_in_a_row_or_in_a_column(reference: ModuleType) -> None:
    z = torch.randn(5, 2)
    right = reference.abs_det_jacobian(z)
    assert reference.is_abs_det_jacobian(right, z) is True
    assert reference.is_abs_det_jacobian(right.double()[:, None], z) is True
    says = "The numbers are not the absolute determinants of dy/dz at these points."
    assert reference.is_abs_det_jacobian(right - 1, z) == says
    assert reference.is_abs_det_jacobian(right[0], z) == "One number for every point is asked."
    assert reference.is_det_without_one(right - 1, z)
    assert not reference.is_det_without_one(right, z)
    assert not reference.is_det_of_h(right, z)
    slope = reference.h_prime(5 * z[:, 0])
    assert reference.is_det_without_w(1 + 3 * slope, z)
    assert not reference.is_det_without_w(right, z)
    assert reference.is_det_unsquared(1 + 15 * (1 - torch.tanh(5 * z[:, 0])), z)
    assert not reference.is_det_unsquared(right, z)


# The solution, the template, and the samples


def run_notebook(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[str]]:
    """Run a notebook's cells; its namespace, and the ids of the cells that failed."""
    stand_in(monkeypatch)
    namespace: dict[str, Any] = {}
    failed = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and cell["id"] != "P1-fetch":
            try:
                exec("".join(cell["source"]), namespace)  # noqa: S102 - our own notebooks
            except ImportError:
                failed.append(cell["id"])
    return namespace, failed


@pytest.fixture(scope="module")
def solution() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        namespace, failed = run_notebook(HOME / "solution" / "iith_a5.ipynb", monkeypatch)
        assert failed == ["text"]
        yield namespace


def test_the_solution_computes_what_the_reference_does(
    reference: ModuleType, solution: dict[str, Any]
) -> None:
    four = [torch.randn(3, 5) for _ in range(4)]
    points = torch.randn(6, 2)
    for name, given in (
        ("gaussian_kl", four[:2]),
        ("elbo", four),
        ("h", four[:1]),
        ("h_prime", four[:1]),
        ("f", [points]),
        ("abs_det_jacobian", [points]),
    ):
        torch.testing.assert_close(solution[name](*given), getattr(reference, name)(*given))
    assert solution["q1_mean"] == pytest.approx(reference.q1_mean(), rel=1e-4)
    assert solution["q1_std"] == pytest.approx(reference.q1_std(), rel=1e-4)
    keys = reference.exact_keys(4, 5, 6)
    assert reference.copies(solution["copy_query"](keys, 4), keys, 4) is True
    assert reference.averages(solution["average_query"](keys, 0, 4), keys, 0, 4) is True


def test_the_solutions_networks_are_the_references(
    reference: ModuleType, solution: dict[str, Any]
) -> None:
    for name, build, given in (
        ("DecoderRNN", (6, 5, 11, 2), (torch.randn(2, 6), torch.randint(11, (2, 4)), [4, 3])),
        ("Encoder", (4, 6, 5), (torch.randn(3, 4),)),
        ("Decoder", (4, 6, 5), (torch.randn(3, 4),)),
        ("CustomEncoderLayer", (8, 2, 12), (torch.randn(5, 2, 8), reference.later_tokens(0, 5))),
    ):
        ours, theirs = (made[name](*build).eval() for made in (vars(reference), solution))
        theirs.load_state_dict(ours.state_dict())
        torch.testing.assert_close(theirs(*given), ours(*given))
    ours = reference.DecoderRNN(6, 5, 11, 2)
    theirs = solution["DecoderRNN"](6, 5, 11, 2)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 6)
    assert torch.equal(theirs.sample(features), ours.sample(features))


def test_the_template_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    template, failed = run_notebook(STUDENT / "iith_a5.ipynb", monkeypatch)
    names = ("time_ratio", "attention_is_bottleneck", "converges", "equilibrium", "q1_mean")
    assert [template[name] for name in names] == [None] * 5
    assert set(template["complexity"].values()) == {None}
    assert template["gaussian_kl"](torch.ones(1, 2), torch.ones(1, 2)) is None
    assert list(template["CustomEncoderLayer"](16, 4).parameters()) == []
    assert failed == ["text"]


def test_the_committed_notebooks_are_those_of_the_texts(samples: ModuleType) -> None:
    stale = [
        str(path)
        for path, text in samples.notebooks("iith_a5").items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert stale == []


def test_every_sample_says_what_it_must_earn() -> None:
    most = {question: told["points"] for question, told in rubric().items()}
    assert sum(points for question, points in most.items() if question != "P4") == 50
    expected = yaml.safe_load((SAMPLES / "expected.yaml").read_text(encoding="utf-8"))
    assert sorted(expected) == sorted(p.name for p in SAMPLES.iterdir() if p.is_dir())
    for student, told in expected.items():
        points = {str(key): earned for key, earned in told["points"].items() if " " not in str(key)}
        assert sorted(told) == ["points", "says", "status"], student
        assert told["status"] in STATUSES, student
        assert list(points) == ([] if told["status"] == "unreadable" else list(most)), student
        earned = {question: n for question, n in points.items() if n != "pending"}
        assert all(0 <= n <= most[question] for question, n in earned.items()), student
