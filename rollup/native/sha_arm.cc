// ARMv8 with the SHA-2 instructions.
#include <arm_neon.h>
#include <sys/auxv.h>

#include "interleaved.h"

namespace {

struct Unit {
  static constexpr int WIDTH = 4;

  struct State {
    uint32x4_t abcd, efgh;
  };

  static inline __attribute__((always_inline)) void start(State& state) {
    state.abcd = vld1q_u32(INITIAL);
    state.efgh = vld1q_u32(INITIAL + 4);
  }

  static inline __attribute__((always_inline)) void finish(const State& state, uint8_t* digest) {
    vst1q_u8(digest, vrev32q_u8(vreinterpretq_u8_u32(state.abcd)));
    vst1q_u8(digest + 16, vrev32q_u8(vreinterpretq_u8_u32(state.efgh)));
  }

  template <int S>
  static inline __attribute__((always_inline)) void compress(State* states, const uint8_t* const* blocks) {
    uint32x4_t a[S], e[S], m[S][4];
    for (int s = 0; s < S; s++) {
      a[s] = states[s].abcd, e[s] = states[s].efgh;
      for (int i = 0; i < 4; i++) m[s][i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks[s] + 16 * i)));
    }
#pragma GCC unroll 16
    for (int r = 0; r < 16; r++) {
      for (int s = 0; s < S; s++) {
        const uint32x4_t k = vaddq_u32(m[s][r & 3], vld1q_u32(ROUNDS + 4 * r)), before = a[s];
        a[s] = vsha256hq_u32(a[s], e[s], k);
        e[s] = vsha256h2q_u32(e[s], before, k);
        if (r < 12) m[s][r & 3] = vsha256su1q_u32(vsha256su0q_u32(m[s][r & 3], m[s][(r + 1) & 3]), m[s][(r + 2) & 3], m[s][(r + 3) & 3]);
      }
    }
    for (int s = 0; s < S; s++) {
      states[s].abcd = vaddq_u32(states[s].abcd, a[s]);
      states[s].efgh = vaddq_u32(states[s].efgh, e[s]);
    }
  }
};

bool usable() { return getauxval(AT_HWCAP) & 1u << 6; }  // HWCAP_SHA2

}  // namespace

const Kernel sha_arm = {Unit::WIDTH, usable, Interleaved<Unit>::hash};
