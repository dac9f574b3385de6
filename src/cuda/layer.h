// One layer of a plan on one GPU. Session is a list of these; the measurer runs them over rotated copies.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cross/cuda.h"
#include "cuda/compressed_layer.h"
#include "cuda/dense_product.h"
#include "cuda/memory.h"
#include "cuda/token_memory.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::cuda {

/// Where a run may write besides y.
struct LayerWorkspace {
  std::byte* zeroed = nullptr;   ///< zeroed_bytes() bytes, zero before the first run and after every run
  std::byte* scratch = nullptr;  ///< scratch_bytes(tokens) bytes, 256-byte aligned
};

class Layer {
 public:
  /// Uploads every packing `copies` times, so that a benchmark can keep weights out of the cache; once,
  /// packings that lie well in `image` are read there. The current GPU is `device`; `plan`, `device` and
  /// `library` must outlive the layer, the bytes of the plan's weights need not.
  Layer(const LayerPlan& plan, DType dtype, const DeviceInfo& device, const Library& library, int copies = 1,
        const PlanImage& image = {});

  std::size_t zeroed_bytes() const { return zeroed_bytes_; }  ///< of all token counts
  std::size_t scratch_bytes(std::int64_t tokens) const;
  /// As Session::run, arguments checked by the caller. @param copy which copy of the weights to read.
  void run(const RunArgs& args, const LayerWorkspace& workspace, void* stream, int copy = 0) const;
  void prepare(const RunArgs& args) const;
  std::string kernel(std::int64_t tokens) const;
  /// The algorithm by which cuSPARSELt runs `tokens`; empty if it does not.
  std::string sparse_algorithm(std::int64_t tokens) const;
  std::size_t device_bytes() const;
  /// Bytes of weights that a run at `tokens` reads from one copy.
  std::size_t weight_bytes(std::int64_t tokens) const;

 private:
  /// One packing on the GPU.
  struct Stored {
    bool dense = true;
    Format format = Format::dense;
    std::size_t bytes = 0;
    std::vector<std::byte> head;                  ///< what launches read on the host
    DeviceBuffer buffer;                          ///< all copies
    std::unique_ptr<CompressedLayer> compressed;  ///< cuSPARSELt's own copies, where a variant names it
    std::vector<kernels::cuda::PackedMatrix> matrices;
    const kernels::cuda::GpuKernel* kernel = nullptr;
    std::vector<bool> runs;  ///< [tokens]: whether the kernel takes this count
    std::int64_t slice = 0;  ///< most tokens that it takes of those that keep every slice aligned
    bool runs_decode(std::int64_t tokens) const;
    bool runs_prefill(std::int64_t tokens, std::size_t shared_bytes) const;
  };
  struct Route {
    const Stored* stored = nullptr;
    const Variant* variant = nullptr;
    /// Tokens of one launch of the format's kernel; 0: through the library.
    std::int64_t slice = 0;
    bool prefill = false;         ///< by the format's kernel for many tokens
    bool sparse_library = false;  ///< by cuSPARSELt where it takes the call
  };

  void upload(const Packing& packing, int copies);
  void compress(Stored& stored, int copies) const;
  /// Where these bytes of the plan lie on the device already, aligned; nullptr if they do not.
  const std::byte* in_image(std::span<const std::byte> bytes) const;
  void upload_bias();
  /// How a plan's packing runs `tokens`.
  std::string_view shape_for(const Variant& variant, const Stored& stored, std::int64_t tokens) const;
  Route route(std::int64_t tokens) const;
  std::size_t scratch_of(const Route& route, std::int64_t tokens) const;
  /// How a number of tokens runs, remembered: kernels for many tokens compare dozens of cuts before they
  /// answer.
  struct Known {
    Route route;
    std::size_t scratch = 0;
  };
  Known known(std::int64_t tokens) const;
  bool adds_bias(const RunArgs& args) const { return args.bias && !plan_.bias.empty(); }
  void run_packed(const Route& route, const RunArgs& args, const LayerWorkspace& workspace, void* stream,
                  int copy) const;
  void run_library(const Route& route, const RunArgs& args, const LayerWorkspace& workspace, void* stream,
                   int copy) const;
  /// cuSPARSELt's product, if the variant names it and the library, the shape and the call allow it.
  const CompressedProduct* compressed(const Route& route, const RunArgs& args) const;
  /// Made on first use and kept a while; @param fused becomes `wide` where the library cannot do what was
  /// asked.
  std::shared_ptr<const DenseProduct> product(const Route& route, std::int64_t tokens, Fused& fused) const;
  std::size_t expanded_bytes() const;

  const LayerPlan& plan_;
  DType dtype_;
  const DeviceInfo& device_;
  const Library& library_;
  PlanImage image_;
  std::vector<Stored> stored_;
  DeviceBuffer bias_, narrow_bias_;  ///< fp32; in dtype_, for the library
  bool bias_exact_ = true;           ///< narrow_bias_ holds the same values
  std::size_t zeroed_bytes_ = 0;
  TokenMemory<Known> known_;
  /// nullptr: beyond the library.
  TokenMemory<std::shared_ptr<const DenseProduct>, 256, std::pair<std::int64_t, Fused>> products_;
};

}  // namespace cross::cuda
