// The kernels with AVX2.
#include <immintrin.h>
#include <stdint.h>
#define SET avx2
namespace touchstone {
namespace SET {
namespace {
struct Words {
  static constexpr int LANES = 8, MOST_ROWS = 2;
  static constexpr bool CONVERTS = false;  // between 64-bit integers and floats, as vectors
  __m256i v;
  static inline Words zero() { return {_mm256_setzero_si256()}; }
  static inline Words from(const int32_t* p) { return {_mm256_loadu_si256((const __m256i*)p)}; }
  inline void to(int32_t* p) const { _mm256_storeu_si256((__m256i*)p, v); }
  static inline Words from_bytes(const int8_t* p) { return {_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p))}; }
  static inline Words multiply_add(Words sum, const int16_t* x, Words y) {
    int32_t pair;
    __builtin_memcpy(&pair, x, 4);
    return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(_mm256_set1_epi32(pair), y.v))};
  }
  inline Words operator+(Words o) const { return {_mm256_add_epi32(v, o.v)}; }
  inline Words upper() const { return {_mm256_srai_epi32(v, 16)}; }
};
}
}
}
#include "kernels.h"
namespace touchstone { extern const Kernels avx2_kernels = {"avx2", avx2::task, avx2::pack_rows}; }
