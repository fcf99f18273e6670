"""Distances between samples."""

from dataclasses import dataclass

from hexad.metrics.mmd import KernelDistance

__all__ = ["METRICS", "KernelDistance", "Measure"]


@dataclass(frozen=True)
class Measure:
    """A number that compares samples with real records."""

    name: str
    title: str
    better: str
    words: str
    needs: str = "samples"
    baseline: str = "columns shuffled"


METRICS = {
    measure.name: measure
    for measure in (
        Measure(
            "mmd2",
            "kernel distance",
            "lower",
            "squared maximum mean discrepancy with Gaussian kernels of five widths, unbiased, so it may be negative; "
            "0 where samples and records have one law",
        ),
        Measure(
            "c2st",
            "two-sample classifier",
            "lower",
            "how often gradient-boosted trees, out of fold, rank a sample above a real record: 0.5 where they cannot "
            "tell them apart, 1 where they always can",
        ),
        Measure("precision", "precision", "higher", "share of samples that lie where real records lie"),
        Measure("recall", "recall", "higher", "share of real records that lie where samples lie"),
        Measure(
            "density",
            "density",
            "higher",
            "how many balls around real records a sample falls into, against how many it should: 1 for one law, and "
            "more where samples keep to the middle",
        ),
        Measure("coverage", "coverage", "higher", "share of real records with a sample in their ball"),
        Measure(
            "copies",
            "leaning on training",
            "lower",
            "how much rarer than it should be the record nearest to a sample is one held out and not one of training: "
            "0 where nothing was copied, 1 where the training records are drawn again; no guarantee of privacy",
            baseline="training records drawn again",
        ),
    )
}
