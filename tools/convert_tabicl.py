#!/usr/bin/env python3
"""Turns a checkpoint of TabICL's, which is a pickle, into arrays that `chorus import tabicl` reads.

    pip install tabicl safetensors
    python tools/convert_tabicl.py CHECKPOINT.ckpt TABICL.safetensors
    chorus import tabicl TABICL.safetensors --output MODEL.safetensors

The arrays go to a safetensors file under their own names; the whole configuration, what the checkpoint leaves to the package's
defaults included, goes to its metadata as JSON. The checkpoint is opened with `weights_only`, so that nothing in it runs.

    python tools/convert_tabicl.py --random classifier TABICL.safetensors --reference OUT.json

`--random` makes a small network of the package's own with random weights (classifier, classifier-v1, regressor) in the place of a
checkpoint, and `--reference` writes rows and what the package's network says of them: by these an import is checked
(tools/README.md).
"""

import argparse
import json
import sys

import torch
from safetensors.torch import save_file
from tabicl._model.tabicl import TabICL

# What `ChorusModels.TabICL` reads of a configuration.
FIELDS = [
    "max_classes", "num_quantiles", "embed_dim", "col_num_blocks", "col_nhead", "col_num_inds", "col_affine",
    "col_target_aware", "col_feature_group", "col_feature_group_size", "col_ssmax", "icl_ssmax", "row_num_blocks",
    "row_nhead", "row_num_cls", "row_rope_base", "row_rope_interleaved", "icl_num_blocks", "icl_nhead", "ff_factor",
    "activation", "norm_first", "bias_free_ln",
]

SMALL = dict(
    embed_dim=32, col_num_blocks=2, col_nhead=4, col_num_inds=8, row_num_blocks=2, row_nhead=4, row_num_cls=2,
    icl_num_blocks=3, icl_nhead=4, zero_init=False,
)
KINDS = {
    "classifier": dict(max_classes=4),
    "classifier-v1": dict(
        max_classes=4, col_affine=True, col_feature_group=False, col_target_aware=False, col_ssmax=False, icl_ssmax=False),
    "regressor": dict(max_classes=0, num_quantiles=19, row_rope_interleaved=False, bias_free_ln=True),
}


def configuration(config: dict) -> dict:
    """The configuration as JSON has it: every field, by the package's defaults where it is absent."""
    model = TabICL(**config)
    full = {field: getattr(model, field) for field in FIELDS}
    for field in ("col_ssmax", "icl_ssmax"):
        full[field] = {True: "qassmax-mlp-elementwise", False: "none"}.get(full[field], full[field])
    full["col_feature_group"] = {True: "same", False: "none"}.get(full["col_feature_group"], full["col_feature_group"])
    full["row_rope_base"] = float(full["row_rope_base"])
    if not isinstance(full["activation"], str):
        sys.exit("the activation is a function; only checkpoints with a named one are converted")
    return full


def made(kind: str) -> tuple[dict, dict]:
    """A configuration and random weights: nothing is zero, so everything matters."""
    torch.manual_seed(7)
    config = SMALL | KINDS[kind]
    model = TabICL(**config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if not name.endswith("rope.freqs"):
                value.add_(0.1 * torch.randn_like(value))
    return config, model.state_dict()


def reference(config: dict, state: dict, path: str, columns: int = 7, context: int = 40, targets: int = 6) -> None:
    """Rows, and what the package's network says of the last of them."""
    model = TabICL(**config)
    model.load_state_dict(state)
    model.double()
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(1, context + targets, columns, generator=generator, dtype=torch.float64)
    classes = config.get("max_classes", 10)
    if classes > 0:
        y = torch.randint(0, classes, (1, context), generator=generator).double()
    else:
        y = torch.randn(1, context, generator=generator, dtype=torch.float64)
    x, y = x.float().double(), y.float().double()
    # The package casts what it encodes of labels to float; in training mode nothing is cached or split.
    model.train()
    torch.set_default_dtype(torch.float64)
    with torch.no_grad():
        try:
            out = model._train_forward(x.clone(), y)
        except RuntimeError:
            model.float()
            torch.set_default_dtype(torch.float32)
            out = model._train_forward(x.float().clone(), y.float()).double()
    out = out[0, -targets:]
    json.dump({"x": x[0].tolist(), "y": y[0].tolist(), "outputs": out.tolist()}, open(path, "w"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="a checkpoint of TabICL's")
    parser.add_argument("output", help="the safetensors file to write")
    parser.add_argument("--random", choices=sorted(KINDS), help="random weights in the place of a checkpoint")
    parser.add_argument("--reference", metavar="OUT.json", help="also write rows and what the network says of them")
    options = parser.parse_args()
    if (options.checkpoint is None) == (options.random is None):
        parser.error("give a checkpoint, or --random")
    if options.random:
        config, state = made(options.random)
    else:
        checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
        missing = {"config", "state_dict"} - set(checkpoint)
        if missing:
            sys.exit(f"{options.checkpoint} is no checkpoint of TabICL's: it has no {sorted(missing)[0]}")
        config, state = checkpoint["config"], checkpoint["state_dict"]
        TabICL(**config).load_state_dict(state)
    arrays = {name: value.detach().float().contiguous().clone() for name, value in state.items()}
    metadata = {"format": "tabicl-1", "config": json.dumps(configuration(config), sort_keys=True)}
    save_file(arrays, options.output, metadata=metadata)
    print(f"{len(arrays)} arrays written to {options.output}", file=sys.stderr)
    if options.reference:
        reference(config, state, options.reference)


if __name__ == "__main__":
    main()
