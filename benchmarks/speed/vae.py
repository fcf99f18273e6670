"""Variational autoencoders: an epoch beside pythae's trainer."""

from __future__ import annotations

import logging
import tempfile
from typing import Any

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, bare_loop, binary_table, our_loop


@task("vae-epoch")
def _(small: bool) -> Contest:
    steps, latent = 20 if small else 40, 16
    data = binary_table(125 * steps, 784)
    # the peer's own network: one hidden layer of 512 a side
    options: dict[str, Any] = {"hidden": [512], "latent": latent, "batch_size": 125, **PLAIN}
    return Contest(
        f"an epoch of {125 * steps:,} made-up records of 784 bits, batches of 125, one hidden layer of 512 a side, "
        f"code of {latent}; peer: its trainer's epoch, its own Adam, without progress bar",
        our_loop("vae", data, steps, **options),
        _pythae_epoch(data, latent),
        bare_loop("vae", data, steps, **options),
        named("pythae", "BaseTrainer"),
        work="epoch",
    )


def _pythae_epoch(data: hexad.Data, latent: int) -> Runner | None:
    if peer("pythae.trainers") is None:
        return None
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback

    logging.getLogger("pythae.trainers.base_trainer.base_trainer").setLevel(logging.WARNING)
    records = data.tensor("train").float()
    model = VAE(VAEConfig(input_dim=(784,), latent_dim=latent, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(folder, per_device_train_batch_size=125, num_epochs=1, no_cuda=True)
        trainer = BaseTrainer(model, BaseDataset(records, records[:, 0]), training_config=config)
        trainer.prepare_training()
    trainer.callback_handler = CallbackHandler([TrainingCallback()], model)
    return clock(lambda: trainer.train_step(1))
