"""Where a number stopped being finite: the step is played again with hooks that name the layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hexad.transforms import Compose, Transform

__all__ = ["NOWHERE", "first_bad_layer"]

NOWHERE = "the gradient"


def first_bad_layer(model: nn.Module, replay: Callable[[], Tensor]) -> str:
    """Return, in words, where values that are not finite begin when ``replay`` computes a loss and differentiates it.

    Args:
        model: the model whose layers are watched.
        replay: computes the loss of the step in question.

    Returns:
        ``NOWHERE`` where every layer's values are finite.
    """
    found: list[str] = []
    last_grad: list[str] = []

    def watch(name: str, kind: str) -> Callable[..., None]:
        def forward_hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _finite(output):
                found.append(f"the output of layer {name!r} ({kind})")

        return forward_hook

    def watch_gradient(name: str, kind: str) -> Callable[..., None]:
        def backward_hook(module: nn.Module, grad_input: Any, grad_output: Any) -> None:
            if not last_grad and _finite(grad_output) and not _finite(grad_input):
                last_grad.append(f"the gradient of layer {name!r} ({kind})")

        return backward_hook

    def watch_map(name: str, layer: Transform) -> None:
        # a transform is called by its joint computation, which runs no hooks
        for method in ("forward_and_log_det", "estimate_log_det"):
            original = getattr(layer, method)

            def watched(*inputs: Any, original: Callable[..., Any] = original, **options: Any) -> Any:
                output = original(*inputs, **options)
                if not found and not _finite(output):
                    found.append(f"the output of transform {name!r} ({type(layer).__name__})")
                return output

            setattr(layer, method, watched)

    handles = []
    maps = [(name, m) for name, m in model.named_modules() if isinstance(m, Transform) and not isinstance(m, Compose)]
    for name, layer in maps:
        watch_map(name, layer)
    for name, module in model.named_modules():
        if name and not list(module.children()):
            handles.append(module.register_forward_hook(watch(name, type(module).__name__)))
            handles.append(module.register_full_backward_hook(watch_gradient(name, type(module).__name__)))
    try:
        loss = replay()
        if not found and not torch.isfinite(loss).all():
            found.append("the loss, behind layers whose outputs are finite")
        if not found:
            with warnings.catch_warnings():  # torch's, that the first layer's input needs no gradient
                warnings.simplefilter("ignore", UserWarning)
                loss.mean().backward()
    finally:
        for handle in handles:
            handle.remove()
        for _, layer in maps:
            del layer.forward_and_log_det, layer.estimate_log_det  # the class's own are found again
        model.zero_grad(set_to_none=True)
    return (found + last_grad + [NOWHERE])[0]


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    return all(_finite(part) for part in value) if isinstance(value, tuple | list) else True
