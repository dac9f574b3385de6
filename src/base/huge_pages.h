// Large memory that is read front to back.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace cross::base {

/// Asks for 2 MiB pages behind [data, data + size), best before it is first written: on a virtual machine
/// looking up a 4 KiB page takes two levels of page tables. Dense products of one token were 7 to 10 % faster
/// with them in single runs on Zen 4.
inline void prefer_huge_pages(const void* data, std::size_t size) {
  constexpr std::uintptr_t page = std::uintptr_t{2} << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + size) / page * page;
  // Refusal changes nothing but speed.
  if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace cross::base
