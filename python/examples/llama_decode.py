"""Decode speed of a Llama in PyTorch, dense against sparse: tokens per second of CUDA-graph replays of one step.

    python llama_decode.py --layers 32 --sparsity 0.5 0.7 0.9 --batch 1 8

Random weights of Llama-2-7B's architecture (fewer layers on request: time per layer does not depend on their number),
pruned uniformly, or by regions of 128x128 whose sparsities are drawn from 0.3 to 0.99 around the mean (--regions). Both
models run the same code with the same static cache; only the linear layers differ. Needs transformers and a GPU.
"""

import argparse
import copy
import json
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

import cross_sparse.torch as cst


def prune(weight, sparsity, regions, generator):
    """Zeros in place: i.i.d., or region by region."""
    rows, cols = weight.shape
    share = torch.full((rows, cols), sparsity, device=weight.device)
    if regions:
        low, high = 0.3, 0.99
        grid = torch.rand((rows + 127) // 128, (cols + 127) // 128, device=weight.device, generator=generator)
        # A power of a uniform number has the mean that is wanted within [low, high].
        power = (high - low) / (sparsity - low) - 1
        share = (low + (high - low) * grid**power).repeat_interleave(128, 0).repeat_interleave(128, 1)[:rows, :cols]
    weight[torch.rand(weight.shape, device=weight.device, generator=generator) < share] = 0


class Step:
    """One decode step of `batch` sequences behind a prompt of `length` tokens, as a CUDA graph."""

    def __init__(self, model, batch, length):
        self.cache = StaticCache(config=model.config, max_cache_len=length + 256)  # every replay may move on
        self.ids = torch.ones(batch, 1, dtype=torch.long, device="cuda")
        torch.manual_seed(2)  # the same prompt for both models
        prompt = torch.randint(1, 1000, (batch, length), device="cuda")
        position = torch.arange(length, device="cuda")
        model(prompt, past_key_values=self.cache, cache_position=position, use_cache=True)
        self.position = torch.tensor([length], device="cuda")
        run = lambda: model(self.ids, past_key_values=self.cache, cache_position=self.position, use_cache=True).logits
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = run()

    def seconds(self, replays=20):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(replays):
            self.graph.replay()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / replays


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--layers", type=int, default=32)
    parse.add_argument("--sparsity", type=float, nargs="+", default=[0.5, 0.7, 0.9])
    parse.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parse.add_argument("--prompt", type=int, default=128, help="tokens in front of the step")
    parse.add_argument("--regions", action="store_true")
    parse.add_argument("--json", help="also write the rows here")
    options = parse.parse_args()

    config = LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=options.layers,
                         num_attention_heads=32, num_key_value_heads=32, vocab_size=32000)
    rows = []
    print(f"{torch.cuda.get_device_name()}, {options.layers} layers, bf16, prompt {options.prompt}")
    print("sparsity batch  dense ms  sparse ms  speed-up  weights MB dense -> sparse  compile s  agreement")
    for sparsity in options.sparsity:
        generator = torch.Generator("cuda").manual_seed(1)
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            torch.manual_seed(1)
            dense = LlamaForCausalLM(config).eval()
            torch.set_default_dtype(torch.float32)
        with torch.inference_mode():
            for name, module in dense.named_modules():
                if isinstance(module, torch.nn.Linear) and name != "lm_head":
                    prune(module.weight.data, sparsity, options.regions, generator)
            start = time.perf_counter()
            sparse = cst.sparsify(copy.deepcopy(dense), tokens=tuple(options.batch), exclude="lm_head", progress=False)
            compile_seconds = time.perf_counter() - start
            report = cst.report(sparse)
            for batch in options.batch:
                steps = [Step(model, batch, options.prompt) for model in (dense, sparse)]
                times = [[step.seconds() for step in steps] for _ in range(9)]  # in turn
                dense_s, sparse_s = (sorted(side)[4] for side in zip(*times))
                agreement = torch.nn.functional.cosine_similarity(
                    steps[0].logits.float().flatten(1), steps[1].logits.float().flatten(1)).min().item()
                rows.append({"sparsity": sparsity, "batch": batch, "layers": options.layers, "dense_ms": 1e3 * dense_s,
                             "sparse_ms": 1e3 * sparse_s, "speedup": dense_s / sparse_s, "agreement": agreement,
                             "bytes_dense": sum(layer.dense_bytes for layer in report.layers),
                             "bytes_sparse": sum(layer.packed_bytes if layer.replaced else layer.dense_bytes
                                                 for layer in report.layers)})
                row = rows[-1]
                print(f"{sparsity:8.2f} {batch:5d} {row['dense_ms']:9.3f} {row['sparse_ms']:10.3f} "
                      f"{row['speedup']:8.2f}x {row['bytes_dense'] / 1e6:12.0f} -> {row['bytes_sparse'] / 1e6:.0f} "
                      f"{compile_seconds:14.0f} {agreement:10.5f}", flush=True)
                del steps
        del dense, sparse
        torch.cuda.empty_cache()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
