#include "cuda/chain.h"

#include <gtest/gtest.h>

#include "cuda/memory.h"

namespace cross::testing {

std::vector<std::byte> run_chain(const cuda::Session& session, const Chain& chain, bool overlap) {
  const cuda::DeviceBuffer workspace(session.workspace_bytes(0, chain.tokens), "a workspace");
  std::vector<cuda::DeviceBuffer> states;
  for (std::size_t i = 0; i <= chain.products; ++i) states.emplace_back(chain.x.size(), "activations");
  for (const auto& state : states) state.fill(0xff);
  states[0].upload(chain.x);
  workspace.fill(0xff);
  const cuda::Stream stream;
  session.prepare_workspace(workspace.data(), workspace.size(), stream.get());
  for (int round = 0; round < chain.rounds; ++round)
    for (std::size_t i = 1; i < states.size(); ++i) {
      cuda::RunArgs args;
      args.x = states[i - 1].data();
      args.y = states[i].data();
      args.tokens = chain.tokens;
      args.workspace = workspace.data();
      args.workspace_bytes = workspace.size();
      args.overlap = overlap && (round > 0 || i > 1);
      session.run(0, args, stream.get());
    }
  stream.wait();
  std::vector<std::byte> y(chain.x.size());
  states.back().download(y);
  return y;
}

void expect_same_bits_overlapped(const cuda::Session& session, const Chain& chain) {
  EXPECT_TRUE(run_chain(session, chain, false) == run_chain(session, chain, true))
      << "overlap changed the result";
}

}  // namespace cross::testing
