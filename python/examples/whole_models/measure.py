"""Two stacks of blocks, measured in turn."""

import statistics
import time

import torch


class Replay:
    """A call that can be repeated: a CUDA graph on a GPU, the call itself on a CPU."""

    def __init__(self, call, device):
        self.device, self.call = device, call
        if device == "cpu":
            self.output = call()
            return
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # compiles, and lets workspaces grow
                call()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = call()
        self.graph.replay()
        torch.cuda.synchronize()

    def seconds(self, count):
        """Mean time of `count` repetitions."""
        if self.device == "cpu":
            begin = time.perf_counter()
            for _ in range(count):
                self.call()
            return (time.perf_counter() - begin) / count
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(count):
            self.graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / count


def in_turn(replays, turn=0.025, rounds=7):
    """Median seconds of each, and the spread (largest over least) of the ratio of the first two.

    Sides take turns of at least `turn` seconds, so that clocks settle alike on both; the first round is not counted.
    """
    counts = [max(2, int(turn / replay.seconds(2)) + 1) for replay in replays]
    times = [[replay.seconds(count) for replay, count in zip(replays, counts)] for _ in range(rounds)][1:]
    ratios = [row[0] / row[1] for row in times]
    return [statistics.median(side) for side in zip(*times)], max(ratios) / min(ratios)


def difference(output, reference):
    """|output - reference| / |reference| (Frobenius)."""
    return ((output.double() - reference.double()).norm() / reference.double().norm()).item()
