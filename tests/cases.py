"""One row a method: what it is trained on in the tests, and what keeps its runs short."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "SOURCES", "Case"]

SOURCES = {
    "real": "gaussian",
    "ordinal": "copula",
    "binary": "tree",
    "series": "ar2",
    "picture": "copula as image",
    "sequence": "copula as sequence",
    "labelled": "tree given x0",
    "ordinal question": "copula given x0",
    "binary question": "tree given x0,x1,x2",
}


@dataclass(frozen=True)
class Case:
    """A method in the tests.

    Args:
        name: the recipe's.
        kinds: of SOURCES, those it is tried on; no two cases of a method share one.
        options: small sizes.
        steps: of a short run.
    """

    name: str
    kinds: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    steps: int = 30

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("realnvp", ("real", "ordinal"), {"transforms": 4, "hidden": [32, 32]}),
    Case("nsf", ("real", "ordinal"), {"transforms": 3, "hidden": [32, 32]}),
    Case("glow", ("picture",), {"transforms": 3, "hidden": 8}),
    Case("realnvp", ("picture",), {"transforms": 2, "hidden": [8], "multiscale": True}),
    Case("planar", ("real", "ordinal"), {"transforms": 4}),
    Case("radial", ("real", "ordinal"), {"transforms": 4}),
    Case("sylvester", ("real", "ordinal"), {"transforms": 3, "directions": 3}),
    Case("maf", ("real",), {"transforms": 3, "hidden": [64]}),
    Case("nsf-ar", ("real",), {"transforms": 2, "hidden": [64]}),
    Case("realnvp", ("binary",), {"transforms": 4, "hidden": [32, 32], "dequantise": "variational"}),
    Case("nsf", ("binary",), {"transforms": 3, "hidden": [32, 32]}),
    Case("maf", ("binary",), {"transforms": 2, "hidden": [64], "dequantise": "uniform"}),
    Case("maf", ("ordinal",), {"transforms": 3, "hidden": [64], "dequantise": "variational"}),
    Case("nsf-ar", ("ordinal", "binary"), {"transforms": 2, "hidden": [64], "dequantise": "argmax"}),
    Case("nice", ("real", "ordinal"), {"transforms": 4, "hidden": [32, 32]}),
    Case("iaf", ("real", "ordinal"), {"transforms": 2, "hidden": [64]}),
    Case("naf", ("real", "ordinal"), {"transforms": 2, "hidden": [64], "terms": 4}),
    Case("gaussianization", ("real", "ordinal"), {"transforms": 3, "components": 4}),
    Case("ffjord", ("real", "ordinal"), {"hidden": [16, 16], "ode_steps": 3, "tolerance": 1e-4}),
    Case("residual", ("real", "ordinal"), {"transforms": 2, "hidden": [16, 16]}),
    Case("rbm", ("binary",), {"hidden": 8}),
    Case("boltzmann", ("binary",)),
    Case("class-rbm", ("labelled",), {"hidden": 8}),
    Case("dbm", ("binary",), {"hidden": [8, 4]}),
    Case("gaussian-rbm", ("real",), {"hidden": 8, "replicas": 4}),
    Case("potts-rbm", ("ordinal",), {"hidden": 8}),
    Case("jem", ("ordinal question",), {"hidden": [16], "k": 2, "particles": 32}),
    Case("ebm", ("real", "ordinal"), {"hidden": [32, 32]}),
    Case("decision", ("ordinal question", "binary question"), {"hidden": [32]}),
    Case("mdsm", ("real", "ordinal"), {"hidden": [32, 32], "sample_levels": 20, "sample_steps": 3}),
    Case("mdsm", ("picture",), {"hidden": [4, 8], "network": "conv", "sample_levels": 10, "sample_steps": 3}),
    Case("vae", ("real", "ordinal", "binary"), {"hidden": [32], "latent": 4}),
    Case("gan", ("real", "ordinal", "binary"), {"hidden": [32, 32]}),
    Case("made", ("real", "ordinal", "binary"), {"hidden": [64]}),
    Case("made", ("real", "binary"), {"hidden": [64], "masks": 3, "order": "random"}),
    Case("made", ("real", "binary"), {"hidden": [64], "networks": 2, "order": "random"}),
    Case("nade", ("binary",), {"hidden": 16}),
    Case("rnade", ("real", "ordinal"), {"hidden": 16, "components": 3}),
    Case("fvsbn", ("binary",)),
    Case("eonade", ("binary",), {"hidden": [32], "orders": 2}),
    Case("transformer", ("ordinal", "binary"), {"layers": 1, "heads": 2, "width": 16}),
    Case("transformer", ("sequence",), {"layers": 1, "heads": 2, "width": 16}),
    Case("lstm", ("ordinal", "binary", "sequence"), {"width": 16}),
    Case("ngram", ("sequence",)),
    Case("pixelcnn", ("picture",), {"hidden": 4, "layers": 2, "first": 3, "components": 2}),
    Case("pixelcnn-pp", ("picture",), {"hidden": 4, "layers": 2, "first": 3, "components": 2}),
    Case("row-lstm", ("picture",), {"hidden": 4, "layers": 2, "first": 3, "components": 2}),
    Case("ar", ("series",)),
    Case("var", ("series",)),
    Case("deepar", ("series",), {"hidden": 8, "rows": 16, "max_order": 4, "span": 8, "lags": [1, 2]}),
    Case("wavenet", ("series",), {"hidden": 8, "layers": 3, "rows": 16, "max_order": 4, "span": 8, "lags": [1, 2]}),
    Case("ddpm", ("real", "ordinal"), {"hidden": [32, 32], "noise_levels": 50}),
    Case("independent", ("real", "ordinal", "binary")),
    Case("gaussian", ("real", "ordinal")),
    Case("gmm", ("real", "ordinal")),
    Case("chow-liu", ("binary",)),
    Case("resample", ("real", "ordinal", "binary")),
)
