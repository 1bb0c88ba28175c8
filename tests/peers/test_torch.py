"""`fastnorm.torch`: PyTorch's own samples of its modules, gradients, compilation, and what stays with PyTorch."""

import copy
import io

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("expecttest", reason="expecttest is not installed, which PyTorch's test data need")
from torch import nn
from torch.testing._internal.common_modules import module_db

import fastnorm.torch as fnt

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own

KINDS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
KINDS += ("LayerNorm", "RMSNorm")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 5e-2}
SMALL = {
    "LayerNorm": (nn.LayerNorm(6), (3, 4, 6)),
    "GroupNorm": (nn.GroupNorm(2, 6), (2, 6, 5)),
    "BatchNorm2d": (nn.BatchNorm2d(3), (3, 3, 2, 2)),
    "InstanceNorm2d": (nn.InstanceNorm2d(3, affine=True), (2, 3, 3, 3)),
    "RMSNorm": (nn.RMSNorm(6), (3, 6)),
}


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor]:
    """A swapped module in float64, with data for it."""
    module, shape = SMALL[request.param]
    x = torch.randn(*shape, dtype=torch.double, requires_grad=True, generator=torch.Generator().manual_seed(0))
    return fnt.swap_norms(copy.deepcopy(module).double(), kinds="all"), x


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_samples_of_pytorch(name: str, dtype: torch.dtype, training: bool) -> None:
    (info,) = (info for info in module_db if info.module_cls.__name__ == name)
    close = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    torch.manual_seed(0)
    samples = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    for sample in samples:
        made, given = sample.constructor_input, sample.forward_input
        theirs = info.module_cls(*made.args, **made.kwargs).to(dtype).train(training)
        ours = fnt.swap_norms(copy.deepcopy(theirs), kinds="all")
        # Theirs loses more of bfloat16 than the tolerance allows.
        theirs = theirs.double() if dtype == torch.bfloat16 else theirs
        assert type(ours).__module__.startswith("fastnorm.torch")
        assert isinstance(ours, info.module_cls)
        x_ours = given.args[0].detach().clone().requires_grad_()
        x = x_ours.detach().clone().to(torch.double if dtype == torch.bfloat16 else dtype).requires_grad_()
        try:
            y = theirs(x)
        except ValueError as error:
            with pytest.raises(type(error)):
                ours(x_ours)
            continue
        z = ours(x_ours)
        assert z.dtype == dtype
        torch.testing.assert_close(z, y.to(dtype), **close)
        dy = torch.randn_like(z)
        y.backward(dy.to(y.dtype))
        z.backward(dy)
        for a, b in zip([x, *theirs.parameters()], [x_ours, *ours.parameters()], strict=True):
            assert b.grad.dtype == dtype
            torch.testing.assert_close(b.grad, a.grad.to(dtype), rtol=close["rtol"], atol=10 * close["atol"])
        torch.testing.assert_close(ours.state_dict(), theirs.to(dtype).state_dict(), **close)


def test_gradients(small: tuple[nn.Module, torch.Tensor]) -> None:
    module, x = small
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


def test_compiled(small: tuple[nn.Module, torch.Tensor]) -> None:
    module, x = small
    results = []
    for call in (module, torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")):
        leaf = x.detach().clone().requires_grad_()
        y = call(leaf)
        y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
        results.append((y, leaf.grad))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("operation", ["layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm"])
def test_operators(operation: str) -> None:
    x, weight, bias = torch.randn(2, 6, 6), torch.randn(6), torch.randn(6)
    x, weight, bias = (t.double().requires_grad_() for t in (x, weight, bias))
    n = {"layer_norm": 1, "rms_norm": 1, "group_norm": 2}.get(operation, 0)
    result = torch.library.opcheck(getattr(torch.ops.fastnorm, operation).default, (x, weight, bias, n, 1e-5))
    assert set(result.values()) == {"SUCCESS"}


def test_saved_and_loaded(small: tuple[nn.Module, torch.Tensor]) -> None:
    module, x = small
    module.eval()
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), module(x))


def test_transforms_stay_with_pytorch(small: tuple[nn.Module, torch.Tensor]) -> None:
    module, x = small
    module.eval()
    y = torch.vmap(module)(torch.stack([x, 2 * x]))
    torch.testing.assert_close(y[1], module(2 * x))


@pytest.mark.parametrize(
    ("module", "shape", "order"),
    [
        (nn.GroupNorm(4, 16), (2, 16, 8, 8), torch.channels_last),
        (nn.BatchNorm2d(16), (2, 16, 8, 8), torch.channels_last),
        (nn.InstanceNorm3d(16, affine=True), (1, 16, 4, 8, 8), torch.channels_last_3d),
    ],
)
def test_memory_formats_are_kept(module: nn.Module, shape: tuple[int, ...], order: torch.memory_format) -> None:
    x = torch.randn(*shape).to(memory_format=order)
    y = fnt.swap_norms(copy.deepcopy(module), kinds="all")(x)
    assert y.is_contiguous(memory_format=order)
    torch.testing.assert_close(y, module(x), rtol=1e-5, atol=1e-5)


def test_what_fastnorm_does_not_do_stays_with_pytorch() -> None:
    layer = fnt.swap_norms(nn.LayerNorm(4), kinds="all")
    assert fnt.swap_norms(nn.LayerNorm(4, device="meta"), kinds="all")(torch.empty(2, 4, device="meta")).shape == (2, 4)
    assert layer(torch.empty(0, 4)).shape == (0, 4)
    with pytest.raises(RuntimeError, match="normalized_shape"):
        layer(torch.randn(2, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(2, 4)).dtype == nn.LayerNorm(4)(torch.randn(2, 4)).dtype
    traced = torch.jit.trace(layer, torch.randn(2, 4))
    x = torch.randn(3, 4)
    torch.testing.assert_close(traced(x), layer(x))


def test_the_kinds_that_are_swapped() -> None:
    def model() -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm2d(2), nn.LayerNorm(2), nn.Sequential(nn.InstanceNorm1d(2), nn.ReLU()))

    def ours(model: nn.Module) -> list[str]:
        return [type(m).__name__ for m in model.modules() if type(m).__module__.startswith("fastnorm")]

    assert ours(fnt.swap_norms(model())) == ["BatchNorm2d", "InstanceNorm1d"]
    assert ours(fnt.swap_norms(model(), kinds="all")) == ["BatchNorm2d", "LayerNorm", "InstanceNorm1d"]
    assert ours(fnt.swap_norms(model(), kinds=[nn.LayerNorm])) == ["LayerNorm"]
    with pytest.raises(ValueError, match=r"kinds must be among .*, got ReLU"):
        fnt.swap_norms(model(), kinds=[nn.ReLU])
    with pytest.raises(TypeError, match="kinds must be None, 'all' or a collection"):
        fnt.swap_norms(model(), kinds="LayerNorm")
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got int"):
        fnt.swap_norms(3)


@pytest.mark.parametrize(
    ("module", "shape", "order", "ours"),
    [
        (nn.BatchNorm2d(64), (8, 64, 32, 32), torch.contiguous_format, {"evaluation", "training"}),
        (nn.BatchNorm2d(64), (8, 64, 32, 32), torch.channels_last, {"evaluation"}),
        (nn.BatchNorm1d(512), (600, 512), torch.contiguous_format, {"evaluation"}),
        (nn.BatchNorm2d(4), (2, 4, 3, 3), torch.contiguous_format, set()),
        (nn.InstanceNorm2d(64), (8, 64, 16, 16), torch.channels_last, {"evaluation", "training"}),
        (nn.InstanceNorm2d(4), (2, 4, 3, 3), torch.contiguous_format, set()),
    ],
)
def test_by_default_what_does_not_gain_stays_with_pytorch(
    module: nn.Module, shape: tuple[int, ...], order: torch.memory_format, ours: set[str]
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=order)
    swapped = fnt.swap_norms(copy.deepcopy(module))
    always = fnt.swap_norms(copy.deepcopy(module), kinds="all")
    for mode in ("evaluation", "training"):  # before the running statistics differ
        results = []
        for each in (module, swapped, always):
            each.train(mode == "training")
            with torch.no_grad():
                results.append(each(x))
        theirs, got, expected = results
        assert torch.equal(got, expected if mode in ours else theirs)
        torch.testing.assert_close(got, theirs, rtol=1e-4, atol=1e-5)
    fnt.swap_norms(swapped, kinds="all")  # named: wherever fastnorm can
    with torch.no_grad():
        assert torch.equal(swapped.train()(x), always.train()(x))


def test_hooks_and_names_stay() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    seen = []
    model[1].register_forward_hook(lambda *_: seen.append(1))
    before = list(model.state_dict())
    fnt.swap_norms(model, kinds="all")(torch.randn(2, 4))
    assert seen == [1]
    assert list(model.state_dict()) == before


def test_sync_batch_norm_of_one_process() -> None:
    model = fnt.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)))
    assert isinstance(model[1], fnt.SyncBatchNorm)
    alone = nn.BatchNorm2d(3)
    x, x1 = (torch.linspace(-3, 5, 4 * 3 * 4).reshape(4, 3, 2, 2).requires_grad_() for _ in range(2))
    y, y1 = model[1](x), alone(x1)
    torch.testing.assert_close(y, y1, rtol=1e-5, atol=1e-5)
    dy = torch.randn_like(y)
    y.backward(dy)
    y1.backward(dy)
    torch.testing.assert_close(x.grad, x1.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model[1].state_dict(), alone.state_dict())
    torch.testing.assert_close(model[1].eval()(x), alone.eval()(x1), rtol=1e-5, atol=1e-5)
