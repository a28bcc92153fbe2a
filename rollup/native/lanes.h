// SHA-256 of W messages at once, one in each lane of vectors of W words: W 4, 8 or 16, for processors without instructions for it.
#pragma once

#include "kernels.h"

namespace {

typedef uint32_t Words4 __attribute__((vector_size(16)));
typedef uint32_t Words8 __attribute__((vector_size(32)));
typedef uint32_t Words16 __attribute__((vector_size(64)));

template <class Words>
struct Lanes {
  static constexpr int W = sizeof(Words) / 4;

  static inline __attribute__((always_inline)) Words rotated(Words x, int by) { return (x >> by) | (x << (32 - by)); }

  // Exchanges, between two rows, the words whose index has the bit D in the first with those whose index lacks it in the second.
  template <int D>
  static inline __attribute__((always_inline)) void exchange(Words& a, Words& b) {
    if constexpr (D < W) {
      Words mask = {};
      for (int j = 0; j < W; j++) mask[j] = j & D ? ~0u : 0u;
      const Words low = shifted<-D>(b), high = shifted<D>(a);
      a = (low & mask) | (a & ~mask);
      b = (b & mask) | (high & ~mask);
    }
  }

  // Row word j becomes word j + by; words that would come from outside are any.
  template <int by>
  static inline __attribute__((always_inline)) Words shifted(Words a) {
    if constexpr (W == 4)
      return __builtin_shufflevector(a, a, (0 + by) & 3, (1 + by) & 3, (2 + by) & 3, (3 + by) & 3);
    else if constexpr (W == 8)
      return __builtin_shufflevector(a, a, (0 + by) & 7, (1 + by) & 7, (2 + by) & 7, (3 + by) & 7, (4 + by) & 7, (5 + by) & 7, (6 + by) & 7,
                                     (7 + by) & 7);
    else
      return __builtin_shufflevector(a, a, (0 + by) & 15, (1 + by) & 15, (2 + by) & 15, (3 + by) & 15, (4 + by) & 15, (5 + by) & 15,
                                     (6 + by) & 15, (7 + by) & 15, (8 + by) & 15, (9 + by) & 15, (10 + by) & 15, (11 + by) & 15,
                                     (12 + by) & 15, (13 + by) & 15, (14 + by) & 15, (15 + by) & 15);
  }

  template <int D>
  static inline __attribute__((always_inline)) void exchange_all(Words* rows) {
    if constexpr (D < W)
      for (int i = 0; i < W; i++)
        if (!(i & D)) exchange<D>(rows[i], rows[i + D]);
  }

  // Makes rows columns: row i has been word i of every message, and was W words of message i.
  static inline __attribute__((always_inline)) void transpose(Words* rows) {
    exchange_all<8>(rows);
    exchange_all<4>(rows);
    exchange_all<2>(rows);
    exchange_all<1>(rows);
  }

  static inline __attribute__((always_inline)) Words big_endian(Words x) {
    return (x << 24) | ((x & 0xff00) << 8) | ((x >> 8) & 0xff00) | (x >> 24);
  }

  // Words 0 to 15 of every message's block b.
  static inline __attribute__((always_inline)) void load(const Message* messages, size_t b, Words* w) {
    for (int part = 0; part < 16; part += W) {
      for (int i = 0; i < W; i++) memcpy(&w[part + i], messages[i].block(b) + 4 * part, sizeof(Words));
      transpose(w + part);
      for (int i = 0; i < W; i++) w[part + i] = big_endian(w[part + i]);
    }
  }

  static inline __attribute__((always_inline)) void compress(Words* state, Words* w) {
    Words a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
#pragma GCC unroll 64
    for (int r = 0; r < 64; r++) {
      if (r >= 16) {
        const Words x = w[(r + 1) & 15], y = w[(r + 14) & 15];
        w[r & 15] += (rotated(x, 7) ^ rotated(x, 18) ^ (x >> 3)) + w[(r + 9) & 15] + (rotated(y, 17) ^ rotated(y, 19) ^ (y >> 10));
      }
      const Words t = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + (g ^ (e & (f ^ g))) + ROUNDS[r] + w[r & 15];
      const Words u = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) | (c & (a | b)));
      h = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }

  static void hash(uint8_t prefix, const uint8_t* data, size_t count, size_t blocks, uint8_t* out) {
    for (size_t first = 0; first < count; first += W) {
      const size_t here = count - first < W ? count - first : W;
      Message messages[W];
      // Lanes beyond the last message hash it once more.
      for (size_t i = 0; i < W; i++) messages[i].set(prefix, data + 64 * blocks * (first + (i < here ? i : here - 1)), blocks);
      Words state[8], w[16];
      for (int i = 0; i < 8; i++) state[i] = Words{} + INITIAL[i];
      for (size_t b = 0; b <= blocks; b++) {
        load(messages, b, w);
        compress(state, w);
      }
      uint32_t digest[8][W];
      for (int i = 0; i < 8; i++) {
        const Words word = big_endian(state[i]);
        memcpy(digest[i], &word, sizeof(Words));
      }
      for (size_t i = 0; i < here; i++)
        for (int j = 0; j < 8; j++) memcpy(out + 32 * (first + i) + 4 * j, &digest[j][i], 4);
    }
  }
};

}  // namespace
