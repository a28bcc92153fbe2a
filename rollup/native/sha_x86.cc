// x86-64 with SHA extensions.
#include <immintrin.h>

#include "interleaved.h"
#include "x86.h"

namespace {

struct Unit {
  static constexpr int WIDTH = 2;

  struct State {
    __m128i abef, cdgh;
  };

  static inline __attribute__((always_inline)) void start(State& state) {
    state.abef = _mm_set_epi32(int(INITIAL[0]), int(INITIAL[1]), int(INITIAL[4]), int(INITIAL[5]));
    state.cdgh = _mm_set_epi32(int(INITIAL[2]), int(INITIAL[3]), int(INITIAL[6]), int(INITIAL[7]));
  }

  static inline __attribute__((always_inline)) void finish(const State& state, uint8_t* digest) {
    const __m128i abcd = _mm_unpackhi_epi64(state.cdgh, state.abef), efgh = _mm_unpacklo_epi64(state.cdgh, state.abef);
    const __m128i reversed = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest), _mm_shuffle_epi8(abcd, reversed));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest + 16), _mm_shuffle_epi8(efgh, reversed));
  }

  template <int S>
  static inline __attribute__((always_inline)) void compress(State* states, const uint8_t* const* blocks) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i a[S], c[S], m[S][4];
    for (int s = 0; s < S; s++) {
      a[s] = states[s].abef, c[s] = states[s].cdgh;
      for (int i = 0; i < 4; i++)
        m[s][i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks[s] + 16 * i)), big_endian);
    }
#pragma GCC unroll 16
    for (int r = 0; r < 16; r++) {
      for (int s = 0; s < S; s++) {
        const __m128i k = _mm_add_epi32(m[s][r & 3], _mm_load_si128(reinterpret_cast<const __m128i*>(ROUNDS + 4 * r)));
        c[s] = _mm_sha256rnds2_epu32(c[s], a[s], k);
        a[s] = _mm_sha256rnds2_epu32(a[s], c[s], _mm_shuffle_epi32(k, 0x0e));
        if (r < 12) {
          const __m128i x = _mm_sha256msg1_epu32(m[s][r & 3], m[s][(r + 1) & 3]);
          const __m128i y = _mm_add_epi32(x, _mm_alignr_epi8(m[s][(r + 3) & 3], m[s][(r + 2) & 3], 4));
          m[s][r & 3] = _mm_sha256msg2_epu32(y, m[s][(r + 3) & 3]);
        }
      }
    }
    for (int s = 0; s < S; s++) {
      states[s].abef = _mm_add_epi32(states[s].abef, a[s]);
      states[s].cdgh = _mm_add_epi32(states[s].cdgh, c[s]);
    }
  }
};

bool usable() { return Cpu().sha(); }

}  // namespace

const Kernel sha_x86 = {Unit::WIDTH, usable, Interleaved<Unit>::hash};
