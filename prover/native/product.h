// What a product is, as the driver (product.cc) hands it to the kernels of one instruction set (kernels.h).
//
//   out[b, r, c] = code(sum over k of x[b, r, k] * y[b, k, c])
//
// over batches b, rows r, columns c and terms k, each several dimensions of the op. Every array is read or written at
// base + sum of strides * coordinates, in elements.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace touchstone {

constexpr int PANEL = 16;        // columns that lie together in packed operands
constexpr int TILE = 256;        // elements that the code runs on at a time
constexpr int ROWS = 64;         // most rows of a block
constexpr int PANEL_ROWS = 8;    // most rows that lie together when they are packed, on any instruction set
constexpr int MOST_DIMS = 10;    // of one role
constexpr int MOST_ARRAYS = 24;  // that the code reads
constexpr int MOST_INSTRUCTIONS = 96;
constexpr int BLOCK_PAIRS = 256;    // pairs of terms after which sums are set aside: their weights fit the innermost cache
constexpr int MOST_PAIRS = 65535;   // so that the sum of high words stays inside 32 bits
constexpr int MOST_LEVEL = 5;       // binary logarithm of the most pairs of a group
constexpr uint8_t PAIR_BY_PAIR = 255;  // flag of a sub-block in which even one pair may exceed 32 bits

enum Role { BATCH, ROW, COLUMN, TERM, ROLES };

struct Dims {
  int count = 0;
  int64_t size[MOST_DIMS];
  int64_t total = 1;
};

struct Array {
  const char* data = nullptr;
  int dtype = 0;  // bytes of an element; 0: no array, an element is its own offset
  int64_t base = 0;
  int64_t stride[ROLES][MOST_DIMS];
  // A gathered array: one coordinate is first + a register; outside of 0 .. size - 1 it reads fill.
  int64_t first = 0, step = 0, size = 0, fill = 0;
};

enum Opcode : int32_t {
  CONSTANT, LOAD, GATHER, ADD, SUB, MUL, MUL_32, MUL_U32, DIV, DIV_FLOAT, DIV_LONG, SHIFT, SHL, SHR, SHR_FAST, SHR_RIGHT, MULSHIFT,
  AND, OR, XOR, MIN, MAX, ABS, LESS, EQUAL, SELECT, BITLEN, ISQRT, WIDEN, NARROW, CLAMP, CLAMP_NARROW, SCALE_U32, SCALE_NARROW, OPCODES
};

// Registers hold TILE elements of 32 or (wide) 64 bits. level: 0 computed once, 1 for every group of panels, 2 for every tile.
struct Instruction {
  int32_t op, wide, level, to, a, b, c;
};

struct Product {
  Dims dims[ROLES];
  Array x, y, out, arrays[MOST_ARRAYS];
  int array_count = 0, instruction_count = 0, register_count = 1, constant_count = 0;
  Instruction code[MOST_INSTRUCTIONS];
  int64_t constants[MOST_INSTRUCTIONS];
  int result = 0, result_wide = 1;  // register 0 is the sum, of 32 bits if `low`
  int limbs = 1, limb_bits = 0;
  bool low = false;      // 32 bits hold the sum: the low words alone give it
  bool values = false;   // y is an array of values, packed here; otherwise it is packed already, as bytes or words:
  bool bytes = false;
  int64_t bound = 65535;  // largest sum of |y| in a group
  int64_t limit = 32768;  // largest |x| for which the bound holds
  int64_t pairs = 0, sub = 0, panels = 0;  // pairs with padding, pairs of a sub-block
  int64_t packed_bytes = 0;                // of a batch
  // Division of the work:
  int64_t rows_of_task = 0, groups_of_task = 0, row_tasks = 0, group_tasks = 0;
  int tile_rows = 16, tile_panels = 1;
  bool shared_rows = false;  // rows are packed once, before: packed_rows [batch][row][limb * 2 * pairs] in panels, and
  int16_t* packed_rows = nullptr;
  uint8_t* spare = nullptr;  // their spare bits [batch][row][limb * sub-blocks]
};

// Memory of one thread, aligned to 64 bytes.
struct Scratch {
  int16_t* rows;      // packed rows of a task
  uint8_t* spare;     // and their spare bits
  int16_t* staged;    // rows of a panel before they are interleaved
  char* columns;      // packed values of y
  int16_t* expanded;  // bytes as words, one block
  int32_t* sums;      // low and high words [tile_panels][2][ROWS * limbs][PANEL]
  int64_t* registers;
  int64_t* offsets;   // of rows and terms while they are packed
  int64_t* places;    // of rows and columns of tiles: [MOST_ARRAYS + 1][ROWS + TILE]
};

struct Kernels {
  const char* name;
  void (*task)(const Product& p, const Scratch& s, int64_t number);
  void (*pack_rows)(const Product& p, int16_t* to, uint8_t* spare, int64_t batch, int64_t first, int64_t count, const Scratch& s);
};

extern const Kernels portable_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels, avx512_kernels;
#elif defined(__aarch64__)
extern const Kernels neon_kernels;
#endif

}  // namespace touchstone
