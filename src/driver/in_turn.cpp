#include "driver/in_turn.h"

#include <chrono>
#include <cstddef>
#include <vector>

#include "driver/machine.h"

namespace cross::driver {

InTurn time_in_turn(const std::function<double()>& dense, const std::function<double()>& cross,
                    double seconds) {
  using clock = std::chrono::steady_clock;
  constexpr std::size_t least = 5, most = 101;
  std::vector<double> dense_seconds, cross_seconds, ratios;
  const auto start = clock::now();
  while (ratios.size() < least ||
         (ratios.size() < most && std::chrono::duration<double>(clock::now() - start).count() < seconds)) {
    dense_seconds.push_back(dense());
    cross_seconds.push_back(cross());
    ratios.push_back(dense_seconds.back() / cross_seconds.back());
  }
  const auto ratio = summarise(ratios);
  return {summarise(dense_seconds).median_us, summarise(cross_seconds).median_us, ratio.median_us,
          ratio.spread, static_cast<int>(ratios.size())};
}

}  // namespace cross::driver
