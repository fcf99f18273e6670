"""Small work is given one thread, and what is stated on a GPU is computed in whole float32."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from hexad.train.threads import SMALL, evaluating, threads_for

KINDS = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def _model(device, work=1):
    return SimpleNamespace(device=torch.device(device), work=work)


def test_small_work_takes_one_thread_and_large_work_what_there_is():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for work, threads in ((1, 1), (SMALL, 2)):
            with threads_for(_model("cpu", work), 10) as found:
                assert found == torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_convolutions_and_recurrent_cells_of_a_gpu_round_nothing_while_they_are_evaluated_and_do_as_before_after():
    usual = [kind.fp32_precision for kind in KINDS]
    assert usual == ["tf32", "tf32"]

    def evaluate() -> None:
        assert [kind.fp32_precision for kind in KINDS] == ["ieee", "ieee"]
        raise ArithmeticError

    with pytest.raises(ArithmeticError), evaluating(_model("cuda"), 10):
        evaluate()
    assert [kind.fp32_precision for kind in KINDS] == usual
    with evaluating(_model("cpu"), 10):
        assert [kind.fp32_precision for kind in KINDS] == usual
