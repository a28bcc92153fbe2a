// The kernels in plain C++: of any processor.
#include <stdint.h>
#include <string.h>
#define SET portable
namespace touchstone {
namespace SET {
namespace {
struct Words {
  static constexpr int LANES = 4, MOST_ROWS = 2;
  static constexpr bool CONVERTS = false;  // between 64-bit integers and floats, as vectors
  typedef int32_t Four __attribute__((vector_size(16)));
  typedef uint32_t Unsigned __attribute__((vector_size(16)));
  Four v;
  static inline Words zero() { return {Four{0, 0, 0, 0}}; }
  static inline Words from(const int32_t* p) { Words w; memcpy(&w.v, p, 16); return w; }
  inline void to(int32_t* p) const { memcpy(p, &v, 16); }
  static inline int32_t both(int16_t a, int16_t b) { return (int32_t)((uint32_t)(uint16_t)a | (uint32_t)(uint16_t)b << 16); }
  static inline Words from_bytes(const int8_t* p) { return {Four{both(p[0], p[1]), both(p[2], p[3]), both(p[4], p[5]), both(p[6], p[7])}}; }
  static inline Words multiply_add(Words sum, const int16_t* x, Words y) {
    const Four low = x[0] * (y.v << 16 >> 16);
    const Four high = x[1] * (y.v >> 16);
    return {(Four)((Unsigned)sum.v + (Unsigned)low + (Unsigned)high)};
  }
  inline Words operator+(Words o) const { return {(Four)((Unsigned)v + (Unsigned)o.v)}; }
  inline Words upper() const { return {v >> 16}; }
};
}
}
}
#include "kernels.h"
namespace touchstone { extern const Kernels portable_kernels = {"portable", portable::task, portable::pack_rows}; }
