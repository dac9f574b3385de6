"""Whole models in PyTorch, dense against sparse: true architectures, random weights, torch.compile and CUDA graphs.

    python python/examples/whole_models --json rows.json                                  # everything
    python python/examples/whole_models --models llama-2-7b --sparsity 0.5 0.7 0.9 --masks uniform
    python python/examples/whole_models/plot.py rows.json -o speedup.svg

Both sides are bf16, run the same code and differ in the linear layers of their blocks only; the dense side multiplies the
same pruned weights. Blocks are compiled one by one (`torch.compile`), the whole model is one CUDA graph. Decoders are
compiled for one token and for eight (`decode`), and apart from that for a prompt (`prefill`); encoders for the tokens of
their batch. Where no layer of a block is faster sparse, the sparse model is the dense one: its ratio is 1 and "dense".
Results are compared before anything is timed. Needs transformers.
"""

import argparse
import copy
import dataclasses
import json
import sys
import time

import torch

import cross_sparse.torch as cst
from architectures import MODELS, FixedCache, run
from masks import KINDS, prune
from measure import Replay, difference, in_turn

MOST_DIFFERENCE = 0.1  # of outputs (Frobenius), in bf16, behind up to 48 blocks of random weights


@dataclasses.dataclass
class Setting:
    """What goes in: `batch` items; prompts have `tokens` tokens, decoding has `tokens` tokens behind it."""

    phase: str
    batch: int
    tokens: int


SETTINGS = {
    "bert-base": [Setting("encode", 1, 128), Setting("encode", 16, 128)],
    "vit-l16": [Setting("encode", 1, 197), Setting("encode", 16, 197)],
    "sam-vit-h": [Setting("encode", 1, 4096)],
    "gpt2-xl": [Setting("decode", 1, 512), Setting("decode", 8, 512), Setting("prefill", 1, 512)],
    "llama-2-7b": [Setting("decode", 1, 512), Setting("decode", 8, 512), Setting("prefill", 1, 512)],
}
TINY = {
    "bert-base": {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128, "vocab_size": 100},
    "vit-l16": {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128},
    "sam-vit-h": {"hidden_size": 64, "num_attention_heads": 2, "mlp_dim": 128, "image_size": 448, "output_channels": 8},
    "gpt2-xl": {"n_embd": 64, "n_head": 2, "vocab_size": 100},
    "llama-2-7b": {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 2,
                   "vocab_size": 100},
}


def given(name, setting, device, dtype, image):
    """The input of a setting."""
    if name in ("vit-l16", "sam-vit-h"):
        return torch.randn(setting.batch, 3, image, image, device=device, dtype=dtype)
    count = 1 if setting.phase == "decode" else setting.tokens
    ids = torch.randint(1, 99, (setting.batch, count), device=device)
    if setting.phase == "encode":
        return ids
    first = setting.tokens - 1 if setting.phase == "decode" else 0
    return ids, torch.arange(first, first + count, device=device)[None]


def plan_tokens(settings):
    """Tokens that the products of settings see; those of decoding share one plan."""
    plans = {}
    for setting in settings:
        if setting.phase == "decode":
            plans.setdefault("decode", []).append(setting)
        else:
            plans[setting.phase, setting.batch, setting.tokens] = [setting]
    return [(tuple(s.batch * (1 if s.phase == "decode" else s.tokens) for s in group), group)
            for group in plans.values()]


def call_of(model, blocks, setting, entered, dtype, device):
    caches = None
    if setting.phase == "decode":
        torch.manual_seed(3)
        caches = [FixedCache(setting.batch, setting.tokens, model.heads, dtype, device) for _ in blocks]
    return Replay(lambda: run(model, blocks, entered, caches), device)


def rows_of(name, model, mask, sparsity, options):
    """Measures one model with one mask at all settings: a list of dictionaries."""
    device, dtype, rows = options.device, options.dtype, []
    generator = torch.Generator(device).manual_seed(1)
    pruned = copy.deepcopy(model.kinds)
    for block in pruned:
        prune(block, mask, sparsity, generator)
    for tokens, settings in plan_tokens(SETTINGS[name]):
        begin = time.perf_counter()
        block = cst.sparsify(torch.nn.ModuleList(copy.deepcopy(pruned)).eval(), tokens=tokens, progress=False)
        compile_seconds = time.perf_counter() - begin
        found = cst.report(block)
        kept = [layer.dense_bytes for layer in found.layers]
        base = {"model": model.name, "mask": mask, "sparsity": sparsity, "blocks": len(model.order),
                "replaced": len(found.replaced), "layers": len(found.layers), "compile_s": compile_seconds,
                "kernels": sorted({f"{decision.tokens}: {decision.kernel}" for layer in found.replaced
                                   for decision in layer.decisions}),
                "dense_bytes": sum(kept),
                "sparse_bytes": sum(layer.packed_bytes if layer.replaced else layer.dense_bytes
                                    for layer in found.layers),
                # A bitmap and the kept values, of the layers that were replaced.
                "bound_bytes": sum(layer.dense_bytes * (1 - layer.sparsity) + layer.dense_bytes / 16
                                   for layer in found.replaced)}
        if not found.replaced:
            rows += [{**base, **dataclasses.asdict(setting), "speedup": 1.0, "dense": True} for setting in settings]
            for row in rows[-len(settings):]:
                show(row)
            continue
        sides = [model.with_blocks(pruned).stack(), model.with_blocks(list(block)).stack()]
        if not options.eager:
            for part in sides[0] + sides[1]:
                for plan in part.buffers():
                    torch._dynamo.maybe_mark_dynamic(plan, 0)  # one graph for plans of all sizes
                part.compile()
        for setting in settings:
            begin = time.perf_counter()
            entered = given(name, setting, device, dtype, options.image[name])
            replays = [call_of(model, blocks, setting, entered, dtype, device) for blocks in sides]
            base["setup_s"] = time.perf_counter() - begin
            apart = difference(replays[1].output, replays[0].output)
            if not apart <= MOST_DIFFERENCE:
                sys.exit(f"{model.name}, {mask} {sparsity}, {setting}: the two models' outputs differ by {apart:.3g} of "
                         f"their norm; at most {MOST_DIFFERENCE} was expected")
            (dense, sparse), spread = in_turn(replays)
            rows.append({**base, **dataclasses.asdict(setting), "speedup": dense / sparse, "dense": False,
                         "dense_ms": 1e3 * dense, "sparse_ms": 1e3 * sparse, "spread": spread, "difference": apart})
            show(rows[-1])
            del replays
        del sides, block
        if device == "cuda":
            torch.cuda.empty_cache()
    return rows


def show(row):
    times = "dense kept" if row["dense"] else f"{row['dense_ms']:8.3f} -> {row['sparse_ms']:8.3f} ms"
    print(f"{row['model']:10s} {row['mask']:8s} {row['sparsity']:4.2f} {row['phase']:7s} {row['batch']:2d} x "
          f"{row['tokens']:4d} {row['speedup']:6.2f}x {times:23s} replaced {row['replaced']}/{row['layers']} "
          f"weights {row['sparse_bytes'] / row['dense_bytes']:.3f} of dense, compiled in {row['compile_s']:.1f} s"
          + (f", set up in {row['setup_s']:.1f} s" if "setup_s" in row else ""),
          flush=True)


def main():
    parse = argparse.ArgumentParser(prog="whole_models", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parse.add_argument("--masks", nargs="+", choices=list(KINDS), default=list(KINDS))
    parse.add_argument("--sparsity", type=float, nargs="+", default=[0.5, 0.6, 0.7, 0.8, 0.9])
    parse.add_argument("--layers", type=int, help="blocks, instead of the model's own number")
    parse.add_argument("--phases", nargs="+", choices=["encode", "decode", "prefill"],
                       default=["encode", "decode", "prefill"])
    parse.add_argument("--seconds", type=float, default=float("inf"), help="begin no further mask after this time")
    parse.add_argument("--json", help="also write the rows here, after every mask")
    parse.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parse.add_argument("--eager", action="store_true", help="without torch.compile")
    parse.add_argument("--tiny", action="store_true", help="small blocks: a test of this program, not a measurement")
    options = parse.parse_args()
    options.dtype = torch.bfloat16
    options.image = {name: 224 for name in MODELS} | {"sam-vit-h": 448 if options.tiny else 1024}
    torch._dynamo.config.recompile_limit = 1024  # every setting is a graph of its own,
    torch._dynamo.config.automatic_dynamic_shapes = False
    torch._dynamo.config.force_parameter_static_shapes = False  # but for the sizes of plans
    torch._dynamo.config.force_nn_module_property_static_shapes = False
    torch._dynamo.config.accumulated_recompile_limit = 4096
    begin, rows = time.perf_counter(), []
    if options.device == "cuda":
        print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    for name in options.models:
        SETTINGS[name] = [setting for setting in SETTINGS[name] if setting.phase in options.phases]
        torch.manual_seed(0)
        with torch.device(options.device), torch.inference_mode():
            torch.set_default_dtype(options.dtype)
            made = MODELS[name](**({"layers": options.layers} if options.layers else {}),
                                **(TINY[name] if options.tiny else {}))
            torch.set_default_dtype(torch.float32)
        for mask in options.masks:
            for sparsity in [0.5] if mask == "2:4" else options.sparsity:
                if time.perf_counter() - begin > options.seconds:
                    print(f"{made.name}, {mask} {sparsity}: left out, --seconds are over")
                    continue
                with torch.inference_mode():
                    rows += rows_of(name, made, mask, sparsity, options)
                if options.json:
                    with open(options.json, "w") as file:
                        json.dump(rows, file, indent=1)
        del made


if __name__ == "__main__":
    main()
