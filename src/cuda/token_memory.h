// What follows from a number of tokens, remembered for some of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace cross::cuda {

/// Values by token count, or by a key with one in it, at most `most`: a server whose prompts have every
/// length would fill the memory otherwise. All are forgotten when one more comes, which costs what finding
/// one costs, once in `most` times.
///
/// Threads: any number at once. Values are copies, so none is lost under its reader.
template <class Value, std::size_t most = 64, class Key = std::int64_t>
class TokenMemory {
 public:
  /// What is known of `key`, else `find(key)`, which is called without a lock: two threads may both
  /// find the same. What it throws leaves nothing behind.
  template <class Find>
  Value get(const Key& key, const Find& find) const {
    {
      const std::shared_lock lock(mutex_);
      if (const auto known = known_.find(key); known != known_.end()) return known->second;
    }
    const Value found = find(key);
    const std::unique_lock lock(mutex_);
    if (known_.size() >= most && !known_.contains(key)) known_.clear();
    known_.emplace(key, found);
    return found;
  }

  std::size_t size() const {
    const std::shared_lock lock(mutex_);
    return known_.size();
  }

 private:
  mutable std::shared_mutex mutex_;
  mutable std::map<Key, Value> known_;
};

}  // namespace cross::cuda
