// What follows from a number of tokens, remembered for the latest few dozen of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace cross::cuda {

/// Values by token count, at most `most`: a server whose prompts have every length would fill the memory
/// otherwise. All are forgotten when one more comes, which costs what finding one costs, once in `most`
/// times.
///
/// Threads: any number at once. Values are copies, so none is lost under its reader.
template <class Value, std::size_t most = 64>
class TokenMemory {
 public:
  /// What is known of `tokens`, else `find(tokens)`, which is called without a lock: two threads may both
  /// find the same. What it throws leaves nothing behind.
  template <class Find>
  Value get(std::int64_t tokens, const Find& find) const {
    {
      const std::shared_lock lock(mutex_);
      if (const auto known = known_.find(tokens); known != known_.end()) return known->second;
    }
    const Value found = find(tokens);
    const std::unique_lock lock(mutex_);
    if (known_.size() >= most && !known_.contains(tokens)) known_.clear();
    known_.emplace(tokens, found);
    return found;
  }

  std::size_t size() const {
    const std::shared_lock lock(mutex_);
    return known_.size();
  }

 private:
  mutable std::shared_mutex mutex_;
  mutable std::map<std::int64_t, Value> known_;
};

}  // namespace cross::cuda
