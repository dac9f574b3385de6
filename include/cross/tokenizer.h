// The tokeniser of a decoder's plan: text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/plan.h"

namespace cross {

/// Equal to the reference's ids and texts (docs/tokenizers.md). Const access is thread-safe. It copies what
/// it needs: the plan may go.
class Tokenizer {
 public:
  /// UsageError for a plan without a decoder or whose model had no tokeniser's files, InputError for parts
  /// that do not fit each other, DeviceError if this build lacks a library for the kind of tokeniser.
  explicit Tokenizer(const Plan& plan);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  /// Ids of `text` (UTF-8; ill-formed bytes count as U+FFFD) with the tokens that the model wants in front
  /// and behind.
  std::vector<std::int32_t> encode(std::string_view text) const;

  /// The text of `ids`. Special tokens add none, bytes that are no UTF-8 become U+FFFD.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// One more than the largest id.
  std::int64_t size() const;

  /// Turns ids into text as they come: what it gives out never ends inside of a character.
  class Stream {
   public:
    /// `tokenizer` must outlive the stream.
    explicit Stream(const Tokenizer& tokenizer);
    ~Stream();
    Stream(Stream&&) noexcept;

    /// The text that became complete with token `id`.
    std::string add(std::int32_t id);
    /// What was held back: U+FFFD for a character that never became complete, or nothing.
    std::string finish();

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cross
