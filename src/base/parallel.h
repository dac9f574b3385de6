// A loop over things of very different size, on threads of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cross::base {

/// step(i) for every i < count, on up to `threads` threads that take the next i when they are done with one.
/// Of what steps throw, the exception of the lowest i is rethrown: the same as from a plain loop.
template <class Step>
void for_each_parallel(std::size_t count, std::size_t threads, const Step& step) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        step(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < threads && t < count; ++t) others.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

/// What check(i) says about the lowest i < count of which it says anything; "" if it never does.
template <class Check>
std::string first_error_parallel(std::size_t count, std::size_t threads, const Check& check) {
  std::vector<std::string> errors(count);
  for_each_parallel(count, threads, [&](std::size_t i) { errors[i] = check(i); });
  for (std::string& error : errors)
    if (!error.empty()) return std::move(error);
  return {};
}

}  // namespace cross::base
