"""`fastnorm.torch.SyncBatchNorm` on two processes over gloo: what one process has of the whole batch."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import distributed, multiprocessing, nn

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow, pytest.mark.nosanitize]

CUTS = (0, 4, 9)  # ranks of unequal size


def rank(k: int, store: str) -> None:
    import fastnorm.torch as fnt

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=k, world_size=2)
    torch.manual_seed(0)
    whole, dy, mine = torch.randn(9, 6, 5, 5) + 3, torch.randn(9, 6, 5, 5), slice(CUTS[k], CUTS[k + 1])
    alone = nn.BatchNorm2d(6)
    nn.init.normal_(alone.weight)
    synchronized = fnt.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(6)))[0]
    synchronized.load_state_dict(alone.state_dict())
    x, x1 = whole[mine].clone().requires_grad_(), whole.clone().requires_grad_()
    y, y1 = synchronized(x), alone(x1)
    y.backward(dy[mine])
    y1.backward(dy)
    for parameter in synchronized.parameters():
        distributed.all_reduce(parameter.grad)
    close = {"rtol": 1e-5, "atol": 2e-5}
    torch.testing.assert_close(y, y1[mine], **close)
    torch.testing.assert_close(x.grad, x1.grad[mine], **close)
    for a, b in zip(synchronized.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, **close)
    torch.testing.assert_close(synchronized.state_dict(), alone.state_dict(), **close)
    torch.testing.assert_close(synchronized.eval()(whole), alone.eval()(whole), **close)
    distributed.destroy_process_group()


def test_two_ranks(tmp_path: Path) -> None:
    multiprocessing.spawn(rank, (str(tmp_path / "store"),), 2)
