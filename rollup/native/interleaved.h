// Several messages through one unit for SHA-256, so that it need not wait for its own results: `Unit` is one processor's instructions.
#pragma once

#include "kernels.h"

namespace {

// Unit::State is a message's eight words. Unit::start(state), Unit::finish(state, digest); Unit::compress<S>(states, blocks) adds one
// block to each of S messages.
template <class Unit>
struct Interleaved {
  template <int S>
  static inline __attribute__((always_inline)) void group(uint8_t prefix, const uint8_t* data, size_t blocks, uint8_t* out) {
    Message messages[S];
    typename Unit::State states[S];
    for (int s = 0; s < S; s++) {
      messages[s].set(prefix, data + 64 * blocks * s, blocks);
      Unit::start(states[s]);
    }
    for (size_t b = 0; b <= blocks; b++) {
      const uint8_t* at[S];
      for (int s = 0; s < S; s++) at[s] = messages[s].block(b);
      Unit::template compress<S>(states, at);
    }
    for (int s = 0; s < S; s++) Unit::finish(states[s], out + 32 * s);
  }

  static void hash(uint8_t prefix, const uint8_t* data, size_t count, size_t blocks, uint8_t* out) {
    size_t i = 0;
    for (; i + Unit::WIDTH <= count; i += Unit::WIDTH) group<Unit::WIDTH>(prefix, data + 64 * blocks * i, blocks, out + 32 * i);
    for (; i < count; i++) group<1>(prefix, data + 64 * blocks * i, blocks, out + 32 * i);
  }
};

}  // namespace
