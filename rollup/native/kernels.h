// SHA-256 of many messages of one length, once for each kind of processor.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// One way to hash. `hash` writes, for every i < count, the SHA-256 of the byte `prefix` followed by the 64 * blocks bytes at
// data + 64 * blocks * i to out + 32 * i. blocks >= 1. No alignment is needed. `out` may be `data`: a digest is written when its message,
// and every one before it, has been read. It is fastest where `count` is a multiple of `width`.
struct Kernel {
  size_t width;
  bool (*usable)();
  void (*hash)(uint8_t prefix, const uint8_t* data, size_t count, size_t blocks, uint8_t* out);
};

extern const Kernel lanes_4;
#if defined(__x86_64__)
extern const Kernel lanes_8;
extern const Kernel lanes_16;
extern const Kernel sha_x86;
#elif defined(__aarch64__)
extern const Kernel sha_arm;
#endif

// Everything below is a copy for each source: a function that several sources shared could be linked from one that was compiled for a
// processor that this machine is not.
namespace {

alignas(64) constexpr uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

alignas(16) constexpr uint32_t INITIAL[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// The blocks of one message, padding included: blocks + 1 of them. The prefix moves all bytes by one, so only the first block and the last
// are put together here; those between are read where they lie.
struct Message {
  const uint8_t* data;
  size_t last;
  alignas(64) uint8_t head[64];
  alignas(64) uint8_t tail[64];

  inline __attribute__((always_inline)) void set(uint8_t prefix, const uint8_t* at, size_t blocks) {
    data = at;
    last = blocks;
    head[0] = prefix;
    memcpy(head + 1, at, 63);
    memset(tail, 0, 64);
    tail[0] = at[64 * blocks - 1];
    tail[1] = 0x80;
    const uint64_t bits = __builtin_bswap64(8 * (64 * static_cast<uint64_t>(blocks) + 1));
    memcpy(tail + 56, &bits, 8);
  }

  inline __attribute__((always_inline)) const uint8_t* block(size_t b) const {
    return b == 0 ? head : b == last ? tail : data + 64 * b - 1;
  }
};

}  // namespace
