// What callers of a product give and get: XLA (ffi.cc), and whoever has plain memory (plain.cc).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

#include "product.h"

namespace touchstone {

constexpr int64_t PLAN_VERSION = 2;        // of the numbers of a plan (prover/native/plan.py) and of packed weights
constexpr double LEAST_SHARED_TERMS = 1e5;  // below, a second thread costs more than it saves

struct Buffer {
  const void* data;
  int64_t elements;
  int size;  // bytes of an element
};

struct Pool {
  int64_t threads;
  std::function<void(std::function<void()>)> schedule;
};

// The kernels of a name, or the best that this machine runs; null if it can't.
const Kernels* kernels_named(const std::string& name);

// Reads a plan and checks that it stays inside of its buffers; what is wrong with it, or "". operands: x, y, scalars (the
// iteration and immediates, int64), then what the code reads.
std::string read_plan(const int64_t* plan, size_t length, const std::vector<Buffer>& operands, Buffer result, Product& p);

void run(Product& p, const Kernels& kernels, const Pool& pool);

// Constant weights y [columns, terms] in the order in which sums read them: by panel of columns, pair of terms, column; then the
// flags of sub-blocks, for the bound of sum |y| in a group.
int64_t packed_bytes(int64_t terms, int64_t columns, int64_t sub, bool bytes);
void pack(const int16_t* y, int64_t terms, int64_t columns, int64_t sub, bool bytes, int64_t bound, char* to);

}  // namespace touchstone
