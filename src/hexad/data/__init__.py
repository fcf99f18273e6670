"""Data: what can be read, what one record is, and how samples come back in the user's own types and units."""

from __future__ import annotations

from typing import Any

from hexad.data.base import Data
from hexad.data.context import Context, ContextEncoder
from hexad.data.format import Format
from hexad.data.forms import FORMS
from hexad.data.forms.pictures import ENDINGS
from hexad.data.load import load_data, read_records, read_table
from hexad.data.options import OPTIONS, Options
from hexad.data.output import check_output, write, write_bytes
from hexad.data.protocols import PROTOCOLS
from hexad.data.sources import BUILTIN, Builtin
from hexad.data.splits import permutation
from hexad.data.text import joined

__all__ = [
    "BUILTIN",
    "FORMS",
    "OPTIONS",
    "Builtin",
    "Context",
    "ContextEncoder",
    "Data",
    "Format",
    "Options",
    "check_output",
    "joined",
    "list_data",
    "load_data",
    "permutation",
    "read_records",
    "read_table",
    "write",
    "write_bytes",
]


def list_data() -> dict[str, list[dict[str, Any]]]:
    """Return the built-in data sets and the forms that can be read, as ``hexad data --json`` prints them."""
    data = [
        {"name": name, "splits": dict(zip(("train", "valid", "test"), entry.splits, strict=True)), "event": entry.event,
         "what": entry.what}
        for name, entry in BUILTIN.items()
    ]  # fmt: skip
    forms = [{"form": form, "ending": list(endings), "what": what} for form, (_, endings, what) in FORMS.items()]
    forms.append(
        {"form": "pictures", "ending": list(ENDINGS), "what": "a folder of pictures; a sub-folder a class, or a split"}
    )
    forms.append({"form": "folder", "ending": [], "what": "files whose names hold train, valid, test"})
    forms.append({"form": "memory", "ending": [], "what": "from Python: arrays, tensors, frames, iterables of arrays"})
    forms += [
        {"form": f"protocol={name}", "ending": [], "what": f"{protocol.what}, from {protocol.files}"}
        for name, protocol in PROTOCOLS.items()
    ]
    return {"data": data, "forms": forms}
