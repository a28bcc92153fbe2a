// Products on one instruction set: packing, sums, and the op's code on tiles of them. Included by one file an instruction
// set, which defines SET (a namespace) and `struct Words`, its vector of 32-bit integers. Nothing of the standard library
// with code of its own is used here: it would be compiled for this instruction set and could be linked into all others.
//
// One multiply-add a pair of terms: x0 y0 + x1 y1 in 32 bits. The low word of the sum wraps; a second word adds
// floor(g / 2^16) for every group g of pairs. With R = sum (g mod 2^16), which is below 2^32 for at most 65,536 groups,
//     sum g = 2^16 H + R = 2^16 H + ((L - 2^16 H) mod 2^32),
// exactly, as long as no g exceeds 32 bits: |x| sum |y| < 2^31 in every group. How many pairs make a group is a flag of
// every sub-block, found when y is packed for the largest x there may be. Where the x that are there need s bits less, a
// group may be 2^s times as long: that is found when rows are packed.
//
// Rows are packed in panels of 8, 4, 2 or 1 rows: pair by pair, the pairs of all rows side by side. With two limbs, each
// is a row.

#include <string.h>

#include "product.h"

namespace touchstone {
namespace SET {
namespace {

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

constexpr int NV = PANEL / Words::LANES;

// ---------------------------------------------------------------------------------------------------------- offsets

ALWAYS_INLINE int64_t offset_of(const Dims& d, const int64_t* stride, int64_t at) {
  int64_t offset = 0;
  for (int i = d.count - 1; i >= 0; i--) {
    offset += stride[i] * (at % d.size[i]);
    at /= d.size[i];
  }
  return offset;
}

// Offsets of positions first .. first + count - 1 along one role; whether they are consecutive. Positions beyond the
// end repeat the last one, so that a tile may read there.
bool offsets_of(const Dims& d, const int64_t* stride, int64_t first, int64_t count, int64_t* to) {
  int64_t at[MOST_DIMS], rest = first, offset = 0;
  for (int i = d.count - 1; i >= 0; i--) {
    at[i] = rest % d.size[i];
    rest /= d.size[i];
    offset += at[i] * stride[i];
  }
  bool dense = true;
  for (int64_t n = 0; n < count; n++) {
    to[n] = offset;
    dense &= offset == to[0] + n;
    if (first + n + 1 >= d.total) {
      dense &= n + 1 >= count;
      continue;
    }
    for (int i = d.count - 1; i >= 0; i--) {
      offset += stride[i];
      if (++at[i] < d.size[i]) break;
      offset -= stride[i] * d.size[i];
      at[i] = 0;
    }
  }
  return dense;
}

// ---------------------------------------------------------------------------------------------------------- rows of x

// Rows of the next panel, of those that are left.
ALWAYS_INLINE int64_t panel_rows(int64_t left) {
  int64_t rows = Words::MOST_ROWS;
  while (rows > left) rows /= 2;
  return rows;
}

template <class T>
ALWAYS_INLINE void run(const T* from, int64_t stride, int64_t count, int16_t* to, int16_t* low, int bits) {
  if (!low) {
    if (stride == 1)
      for (int64_t n = 0; n < count; n++) to[n] = (int16_t)from[n];
    else
      for (int64_t n = 0; n < count; n++) to[n] = (int16_t)from[n * stride];
    return;
  }
  const int64_t mask = ((int64_t)1 << bits) - 1;
  if (stride == 1)
    for (int64_t n = 0; n < count; n++) {
      to[n] = (int16_t)(from[n] >> bits);
      low[n] = (int16_t)(from[n] & mask);
    }
  else
    for (int64_t n = 0; n < count; n++) {
      to[n] = (int16_t)(from[n * stride] >> bits);
      low[n] = (int16_t)(from[n * stride] & mask);
    }
}

// One row as its limbs, each `width` words.
template <class T>
void stage_row(const Product& p, const T* row, int16_t* high) {
  const Dims& k = p.dims[TERM];
  const int64_t* stride = p.x.stride[TERM];
  const int64_t inner = k.count ? k.size[k.count - 1] : 1, outer = k.total / inner, width = 2 * p.pairs;
  const int64_t step = k.count ? stride[k.count - 1] : 1;
  int16_t* low = p.limbs == 2 ? high + width : nullptr;
  int64_t at[MOST_DIMS] = {0}, offset = 0;
  for (int64_t o = 0; o < outer; o++) {
    run(row + offset, step, inner, high + o * inner, low ? low + o * inner : nullptr, p.limb_bits);
    for (int i = k.count - 2; i >= 0; i--) {
      offset += stride[i];
      if (++at[i] < k.size[i]) break;
      offset -= stride[i] * k.size[i];
      at[i] = 0;
    }
  }
  memset(high + k.total, 0, (width - k.total) * sizeof(int16_t));
  if (low) memset(low + k.total, 0, (width - k.total) * sizeof(int16_t));
}

// Bits by which a sub-block's x are smaller than the largest ones that the plan reckons with.
ALWAYS_INLINE uint8_t spare_bits(const int16_t* x, int64_t words, int64_t rows, int64_t width, int64_t limit) {
  int16_t high = 0, low = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < words; i++) {
      const int16_t one = x[r * width + i];
      high = one > high ? one : high;
      low = one < low ? one : low;
    }
  int64_t largest = high > -(int32_t)low ? high : -(int32_t)low;
  uint8_t bits = 0;
  while (bits < MOST_LEVEL + 1 && 2 * largest <= limit) largest *= 2, bits++;
  return bits;
}

template <int ROWS_>
ALWAYS_INLINE void interleave(const int16_t* rows, int64_t pairs, int16_t* to) {
  struct Pair { int16_t a, b; };
  const Pair* from = (const Pair*)rows;
  Pair* out = (Pair*)to;
  for (int64_t j = 0; j < pairs; j++)
    UNROLL for (int r = 0; r < ROWS_; r++) out[j * ROWS_ + r] = from[r * pairs + j];
}

template <class T>
void pack_rows_of(const Product& p, int16_t* to, uint8_t* spare, int64_t batch, int64_t first, int64_t count, const Scratch& s) {
  const int64_t width = 2 * p.pairs, subs = p.pairs / p.sub, rows = count * p.limbs;
  const T* base = (const T*)p.x.data + p.x.base + offset_of(p.dims[BATCH], p.x.stride[BATCH], batch);
  offsets_of(p.dims[ROW], p.x.stride[ROW], first, count, s.offsets);
  for (int64_t r = 0, panel; r < rows; r += panel) {
    panel = panel_rows(rows - r);
    int16_t* packed = to + r * width;
    int16_t* staged = panel == 1 ? packed : s.staged;
    for (int64_t i = 0; i < panel; i += p.limbs) stage_row(p, base + s.offsets[(r + i) / p.limbs], staged + i * width);
    for (int64_t n = 0; n < subs; n++) spare[r * subs + n] = spare_bits(staged + n * 2 * p.sub, 2 * p.sub, panel, width, p.limit);
    switch (panel) {
      case 8: interleave<8>(staged, p.pairs, packed); break;
      case 4: interleave<4>(staged, p.pairs, packed); break;
      case 2: interleave<2>(staged, p.pairs, packed); break;
      default: break;
    }
  }
}

void pack_rows(const Product& p, int16_t* to, uint8_t* spare, int64_t batch, int64_t first, int64_t count, const Scratch& s) {
  switch (p.x.dtype) {
    case 1: return pack_rows_of<int8_t>(p, to, spare, batch, first, count, s);
    case 2: return pack_rows_of<int16_t>(p, to, spare, batch, first, count, s);
    case 4: return pack_rows_of<int32_t>(p, to, spare, batch, first, count, s);
    default: return pack_rows_of<int64_t>(p, to, spare, batch, first, count, s);
  }
}

// --------------------------------------------------------------------------------------------------- values as columns

template <class T>
void pack_columns_of(const Product& p, char* to, int64_t batch, int64_t* offsets) {
  const Dims &k = p.dims[TERM], &n = p.dims[COLUMN];
  const T* base = (const T*)p.y.data + p.y.base + offset_of(p.dims[BATCH], p.y.stride[BATCH], batch);
  uint8_t* flags = (uint8_t*)to + p.panels * p.pairs * 4 * PANEL;
  int64_t* terms = offsets + PANEL;
  const bool dense = offsets_of(k, p.y.stride[TERM], 0, k.total, terms);
  for (int64_t panel = 0; panel < p.panels; panel++) {
    int32_t* words = (int32_t*)(to + panel * p.pairs * 4 * PANEL);
    const int64_t columns = n.total - panel * PANEL < PANEL ? n.total - panel * PANEL : PANEL;
    offsets_of(n, p.y.stride[COLUMN], panel * PANEL, columns, offsets);
    if (columns < PANEL || 2 * p.pairs > k.total) memset(words, 0, p.pairs * 4 * PANEL);
    for (int64_t c = 0; c < columns; c++) {
      const T* column = base + offsets[c];
      if (dense) column += terms[0];
      for (int64_t j = 0; j < k.total / 2; j++) {
        const uint32_t a = (uint16_t)(dense ? column[2 * j] : column[terms[2 * j]]);
        const uint32_t b = (uint16_t)(dense ? column[2 * j + 1] : column[terms[2 * j + 1]]);
        words[j * PANEL + c] = (int32_t)(a | b << 16);
      }
      if (k.total & 1) words[k.total / 2 * PANEL + c] = (uint16_t)(dense ? column[k.total - 1] : column[terms[k.total - 1]]);
    }
    for (int64_t s = 0; s * p.sub < p.pairs; s++) {
      const int16_t* block = (const int16_t*)(words + s * p.sub * PANEL);
      int16_t high = 0, low = 0;
      for (int64_t i = 0; i < p.sub * 2 * PANEL; i++) {
        high = block[i] > high ? block[i] : high;
        low = block[i] < low ? block[i] : low;
      }
      const int64_t largest = high > -(int32_t)low ? high : -(int32_t)low;
      uint8_t flag = 0;
      while (p.sub % ((int64_t)2 << flag) == 0 && flag < 5 && (4 << flag) * largest <= p.bound) flag++;
      flags[panel * (p.pairs / p.sub) + s] = 2 * largest <= p.bound ? flag : PAIR_BY_PAIR;
    }
  }
}

void pack_columns(const Product& p, char* to, int64_t batch, int64_t* offsets) {
  switch (p.y.dtype) {
    case 1: return pack_columns_of<int8_t>(p, to, batch, offsets);
    case 2: return pack_columns_of<int16_t>(p, to, batch, offsets);
    case 4: return pack_columns_of<int32_t>(p, to, batch, offsets);
    default: return pack_columns_of<int64_t>(p, to, batch, offsets);
  }
}

// ---------------------------------------------------------------------------------------------------------------- sums

template <bool BYTES>
ALWAYS_INLINE Words columns_at(const char* y, int v) {
  if constexpr (BYTES)
    return Words::from_bytes((const int8_t*)y + 2 * Words::LANES * v);
  else
    return Words::from((const int32_t*)y + Words::LANES * v);
}

template <int MR, int G, bool BYTES>
ALWAYS_INLINE void groups(const int16_t* x, const char* y, int64_t count, Words (&low)[MR][NV], Words (&high)[MR][NV]) {
  constexpr int UNIT = (BYTES ? 2 : 4) * PANEL, STEP = G < 4 ? G : 4;
  for (int64_t g = 0; g < count; g++) {
    Words sum[MR][NV];
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] = Words::zero();
    for (int at = 0; at < G; at += STEP, x += 2 * MR * STEP, y += STEP * UNIT) {
      UNROLL for (int j = 0; j < STEP; j++) UNROLL for (int v = 0; v < NV; v++) {
        const Words w = columns_at<BYTES>(y + j * UNIT, v);
        UNROLL for (int r = 0; r < MR; r++) sum[r][v] = Words::multiply_add(sum[r][v], x + 2 * (j * MR + r), w);
      }
    }
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++) {
      low[r][v] = low[r][v] + sum[r][v];
      high[r][v] = high[r][v] + sum[r][v].upper();
    }
  }
}

// Pairs whose sum may need 33 bits.
template <int MR, bool BYTES>
void pair_by_pair(const int16_t* x, const char* y, int64_t count, Words (&low)[MR][NV], Words (&high)[MR][NV]) {
  int32_t l[MR][PANEL], h[MR][PANEL];
  for (int r = 0; r < MR; r++)
    for (int v = 0; v < NV; v++) low[r][v].to(l[r] + v * Words::LANES), high[r][v].to(h[r] + v * Words::LANES);
  for (int64_t j = 0; j < count; j++)
    for (int r = 0; r < MR; r++)
      for (int c = 0; c < PANEL; c++) {
        const int64_t at = (j * PANEL + c) * 2;
        const int64_t y0 = BYTES ? ((const int8_t*)y)[at] : ((const int16_t*)y)[at];
        const int64_t y1 = BYTES ? ((const int8_t*)y)[at + 1] : ((const int16_t*)y)[at + 1];
        const int64_t g = x[2 * (j * MR + r)] * y0 + x[2 * (j * MR + r) + 1] * y1;
        l[r][c] = (int32_t)((uint32_t)l[r][c] + (uint32_t)g);
        h[r][c] += (int32_t)(g >> 16);
      }
  for (int r = 0; r < MR; r++)
    for (int v = 0; v < NV; v++) low[r][v] = Words::from(l[r] + v * Words::LANES), high[r][v] = Words::from(h[r] + v * Words::LANES);
}

// Binary logarithm of the pairs of a group, -1 where even one pair may exceed 32 bits.
ALWAYS_INLINE int level_of(uint8_t flag, uint8_t spare, int64_t sub) {
  const int level = (flag == PAIR_BY_PAIR ? -1 : flag) + spare, most = __builtin_ctzll(sub);
  return level < most ? level : most;
}

template <int MR, bool BYTES>
void sums_of(const int16_t* x, const uint8_t* spare, const char* y, const uint8_t* flags, int64_t subs, int64_t sub, int32_t* state,
             int64_t half, bool first) {
  constexpr int UNIT = (BYTES ? 2 : 4) * PANEL;
  Words low[MR][NV], high[MR][NV];
  UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++) {
    low[r][v] = first ? Words::zero() : Words::from(state + r * PANEL + v * Words::LANES);
    high[r][v] = first ? Words::zero() : Words::from(state + half + r * PANEL + v * Words::LANES);
  }
  for (int64_t s = 0; s < subs; s++, x += 2 * MR * sub, y += sub * UNIT) {
    switch (level_of(flags[s], spare[s], sub)) {
      case 0: groups<MR, 1, BYTES>(x, y, sub, low, high); break;
      case 1: groups<MR, 2, BYTES>(x, y, sub / 2, low, high); break;
      case 2: groups<MR, 4, BYTES>(x, y, sub / 4, low, high); break;
      case 3: groups<MR, 8, BYTES>(x, y, sub / 8, low, high); break;
      case 4: groups<MR, 16, BYTES>(x, y, sub / 16, low, high); break;
      case 5: groups<MR, 32, BYTES>(x, y, sub / 32, low, high); break;
      default: pair_by_pair<MR, BYTES>(x, y, sub, low, high); break;
    }
  }
  UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++) {
    low[r][v].to(state + r * PANEL + v * Words::LANES);
    high[r][v].to(state + half + r * PANEL + v * Words::LANES);
  }
}

// The low words alone, where 32 bits hold the sum: what wraps on the way does not matter.
template <int MR, bool BYTES>
void low_sums_of(const int16_t* x, const char* y, int64_t pairs, int32_t* state, bool first) {
  constexpr int UNIT = (BYTES ? 2 : 4) * PANEL;
  Words low[MR][NV];
  UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++)
    low[r][v] = first ? Words::zero() : Words::from(state + r * PANEL + v * Words::LANES);
  for (int64_t j = 0; j < pairs; j += 4, x += 8 * MR, y += 4 * UNIT) {
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int v = 0; v < NV; v++) {
      const Words w = columns_at<BYTES>(y + i * UNIT, v);
      UNROLL for (int r = 0; r < MR; r++) low[r][v] = Words::multiply_add(low[r][v], x + 2 * (i * MR + r), w);
    }
  }
  UNROLL for (int r = 0; r < MR; r++) UNROLL for (int v = 0; v < NV; v++) low[r][v].to(state + r * PANEL + v * Words::LANES);
}

// What some rows of x and one panel of columns are multiplied from: `from`, the first pair, is that of a sub-block.
struct Block {
  const int16_t* x;
  const uint8_t* spare;
  const char* y;
  const uint8_t* flags;
  int64_t from, subs;
};

template <int MR, bool BYTES>
ALWAYS_INLINE void panel_of(const Product& p, const Block& b, int64_t row, int32_t* state, int64_t half) {
  const int16_t* x = b.x + 2 * (row * p.pairs + MR * b.from);
  int32_t* at = state + row * PANEL;
  if (p.low)
    low_sums_of<MR, BYTES>(x, b.y, b.subs * p.sub, at, b.from == 0);
  else
    sums_of<MR, BYTES>(x, b.spare + (row * p.pairs + b.from) / p.sub, b.y, b.flags, b.subs, p.sub, at, half, b.from == 0);
}

template <bool BYTES>
void rows_of(const Product& p, const Block& b, int64_t rows, int32_t* state, int64_t half) {
  for (int64_t r = 0, panel; r < rows; r += panel) {
    panel = panel_rows(rows - r);
    if constexpr (Words::MOST_ROWS >= 8)
      if (panel == 8) panel_of<8, BYTES>(p, b, r, state, half);
    if constexpr (Words::MOST_ROWS >= 4)
      if (panel == 4) panel_of<4, BYTES>(p, b, r, state, half);
    if (panel == 2) panel_of<2, BYTES>(p, b, r, state, half);
    if (panel == 1) panel_of<1, BYTES>(p, b, r, state, half);
  }
}

// Low and high words [2][ROWS * limbs][PANEL] of some packed rows times one panel.
void panel_sums(const Product& p, const Scratch& s, const int16_t* x, const uint8_t* spare, int64_t rows, const char* packed, int64_t panel,
                int32_t* state) {
  const int64_t unit = (p.bytes ? 2 : 4) * PANEL, half = (int64_t)ROWS * p.limbs * PANEL;
  const char* y = packed + panel * p.pairs * unit;
  const uint8_t* flags = (const uint8_t*)packed + p.panels * p.pairs * unit + panel * (p.pairs / p.sub);
  const int64_t most = BLOCK_PAIRS / p.sub, subs = p.pairs / p.sub;
  for (int64_t at = 0; at < subs; at += most) {
    Block b{x, spare, y + at * p.sub * unit, flags + at, at * p.sub, subs - at < most ? subs - at : most};
    if (p.bytes && rows > 2) {
      const int8_t* bytes = (const int8_t*)b.y;
      for (int64_t i = 0; i < b.subs * p.sub * 2 * PANEL; i++) s.expanded[i] = bytes[i];
      b.y = (const char*)s.expanded;
      rows_of<false>(p, b, rows, state, half);
    } else if (p.bytes) {
      rows_of<true>(p, b, rows, state, half);
    } else {
      rows_of<false>(p, b, rows, state, half);
    }
  }
}

// ------------------------------------------------------------------------------------------------------------ the code

#include "code.h"

// A task: some rows of some groups of panels of a batch (of all batches' rows the number says which).
void task(const Product& p, const Scratch& s, int64_t number) {
  const int64_t group_task = number % p.group_tasks, rest = number / p.group_tasks;
  const int64_t row_task = rest % p.row_tasks, batch = rest / p.row_tasks;
  const int64_t rows = p.dims[ROW].total, width = 2 * p.pairs * p.limbs;
  const int64_t first = row_task * p.rows_of_task, stop = first + p.rows_of_task < rows ? first + p.rows_of_task : rows;
  const char* packed = p.y.data + (p.values ? 0 : batch * p.packed_bytes);
  if (p.values) {
    pack_columns(p, s.columns, batch, s.offsets);
    packed = s.columns;
  }
  const int64_t subs = p.pairs / p.sub * p.limbs;
  const int16_t* x = s.rows;
  const uint8_t* spare = s.spare;
  if (p.shared_rows) {
    x = p.packed_rows + (batch * rows + first) * width;
    spare = p.spare + (batch * rows + first) * subs;
  } else {
    pack_rows(p, s.rows, s.spare, batch, first, stop - first, s);
  }
  const int64_t groups = (p.panels + p.tile_panels - 1) / p.tile_panels;
  const int64_t begin = group_task * p.groups_of_task;
  const int64_t end = begin + p.groups_of_task < groups ? begin + p.groups_of_task : groups;
  const int64_t state = 2 * (int64_t)ROWS * p.limbs * PANEL;
  Tiles tiles(p, s, batch);
  for (int64_t group = begin; group < end; group++) {
    const int64_t panel = group * p.tile_panels;
    const int64_t panels = p.panels - panel < p.tile_panels ? p.panels - panel : p.tile_panels;
    tiles.columns(panel * PANEL);
    for (int64_t row = first; row < stop; row += ROWS) {
      const int64_t count = stop - row < ROWS ? stop - row : ROWS;
      for (int64_t q = 0; q < panels; q++)
        panel_sums(p, s, x + (row - first) * width, spare + (row - first) * subs, count * p.limbs, packed, panel + q, s.sums + q * state);
      tiles.rows(row);
      for (int64_t r = 0; r < count; r += p.tile_rows) tiles.tile(r, count, panels);
    }
  }
}

}  // namespace
}  // namespace SET
}  // namespace touchstone
