"""What a GPU would tell; no test has one, so torch's answers are made up."""

import pytest
import torch

from tbscale.engine.device import float32_on, gpu_peak_bytes


def test_torch_on_a_cpu_holds_nothing_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert gpu_peak_bytes() is None


def test_each_peak_is_since_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [70]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: held[0])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: held.__setitem__(0, 5))
    assert [gpu_peak_bytes(), gpu_peak_bytes()] == [70, 5]


def test_float32_says_where_it_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert float32_on(torch.device("cpu")) == "float32"
    assert "TF32" in float32_on(torch.device("cuda"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert float32_on(torch.device("cuda")) == "float32"
