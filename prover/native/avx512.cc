// The kernels with AVX-512 and its neural network instructions, whose multiply-add of pairs wraps as the others do.
#include <immintrin.h>
#include <stdint.h>
#define SET avx512
namespace touchstone {
namespace SET {
namespace {
struct Words {
  static constexpr int LANES = 16, MOST_ROWS = 8;
  static constexpr bool CONVERTS = true;  // between 64-bit integers and floats, as vectors
  __m512i v;
  static inline Words zero() { return {_mm512_setzero_si512()}; }
  static inline Words from(const int32_t* p) { return {_mm512_loadu_si512((const void*)p)}; }
  inline void to(int32_t* p) const { _mm512_storeu_si512((void*)p, v); }
  static inline Words from_bytes(const int8_t* p) { return {_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p))}; }
  // Written out, since compilers make two instructions of one, for processors on which that has less latency.
  static inline Words multiply_add(Words sum, const int16_t* x, Words y) {
    struct Pair { int16_t a, b; };
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum.v) : "v"(y.v), "m"(*(const Pair*)x));
    return sum;
  }
  inline Words operator+(Words o) const { return {_mm512_add_epi32(v, o.v)}; }
  inline Words upper() const { return {_mm512_srai_epi32(v, 16)}; }
};
}
}
}
#include "kernels.h"
namespace touchstone { extern const Kernels avx512_kernels = {"avx512", avx512::task, avx512::pack_rows}; }
