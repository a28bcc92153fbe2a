// The kernels with the vectors that every 64-bit ARM processor has.
#include <arm_neon.h>
#include <stdint.h>
#define SET neon
namespace touchstone {
namespace SET {
namespace {
struct Words {
  static constexpr int LANES = 4, MOST_ROWS = 2;
  static constexpr bool CONVERTS = true;  // between 64-bit integers and floats, as vectors
  int32x4_t v;
  static inline Words zero() { return {vdupq_n_s32(0)}; }
  static inline Words from(const int32_t* p) { return {vld1q_s32(p)}; }
  inline void to(int32_t* p) const { vst1q_s32(p, v); }
  static inline Words from_bytes(const int8_t* p) { return {vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p)))}; }
  static inline Words multiply_add(Words sum, const int16_t* x, Words y) {
    int32_t pair;
    __builtin_memcpy(&pair, x, 4);
    const int16x8_t a = vreinterpretq_s16_s32(vdupq_n_s32(pair)), b = vreinterpretq_s16_s32(y.v);
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);
    return {vaddq_s32(sum.v, vpaddq_s32(low, high))};
  }
  inline Words operator+(Words o) const { return {vaddq_s32(v, o.v)}; }
  inline Words upper() const { return {vshrq_n_s32(v, 16)}; }
};
}
}
}
#include "kernels.h"
namespace touchstone { extern const Kernels neon_kernels = {"neon", neon::task, neon::pack_rows}; }
