// The driver: reads a plan, divides the work, and runs the kernels of this machine.
#include "product.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "driver.h"

namespace touchstone {

#if defined(__x86_64__)
namespace {

// What processor and operating system support. (The compiler's own test is empty in some static runtimes.)
struct Features {
  bool avx2 = false, avx512 = false;
  Features() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return;
    unsigned saved, upper;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if ((saved & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = (b & bit_AVX2) && (b & bit_BMI) && (b & bit_BMI2);
    const unsigned wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    avx512 = avx2 && (saved & 0xe6) == 0xe6 && (b & wanted) == wanted && (c & bit_AVX512VNNI);
  }
};

}  // namespace
#endif

const Kernels* kernels_named(const std::string& name) {
#if defined(__x86_64__)
  static const Features features;
  if (features.avx512 && (name.empty() || name == "avx512")) return &avx512_kernels;
  if (features.avx2 && (name.empty() || name == "avx2")) return &avx2_kernels;
#elif defined(__aarch64__)
  if (name.empty() || name == "neon") return &neon_kernels;
#endif
  return name.empty() || name == "portable" ? &portable_kernels : nullptr;
}

uint8_t flag_of(const int16_t* words, int64_t sub, int64_t bound) {
  // sums[j][c]: of |y| of the groups so far, by their first pair.
  std::vector<int64_t> sums(sub * PANEL);
  for (int64_t i = 0; i < sub * PANEL; i++) sums[i] = llabs((int64_t)words[2 * i]) + llabs((int64_t)words[2 * i + 1]);
  uint8_t flag = PAIR_BY_PAIR;
  for (uint8_t level = 0; level <= MOST_LEVEL; level++) {
    for (int64_t sum : sums)
      if (sum > bound) return flag;
    flag = level;
    if ((int64_t)sums.size() / PANEL % 2) return flag;
    for (size_t j = 0; j < sums.size() / PANEL / 2; j++)
      for (int c = 0; c < PANEL; c++) sums[j * PANEL + c] = sums[2 * j * PANEL + c] + sums[(2 * j + 1) * PANEL + c];
    sums.resize(sums.size() / 2 / PANEL * PANEL);
    if (sums.empty()) return flag;
  }
  return flag;
}

namespace {

struct Reader {
  const int64_t* at;
  const int64_t* end;
  bool broken = false;
  int64_t next() {
    if (at == end) {
      broken = true;
      return 0;
    }
    return *at++;
  }
  int64_t below(int64_t limit) {
    const int64_t n = next();
    if (n < 0 || n >= limit) broken = true;
    return broken ? 0 : n;
  }
};

struct Extent {
  int64_t low, high;
};

// Least and greatest offset of what an array is read or written at.
Extent reach(const Product& p, const Array& a, const bool (&roles)[ROLES]) {
  Extent e{a.base, a.base};
  for (int role = 0; role < ROLES; role++) {
    if (!roles[role]) continue;
    for (int d = 0; d < p.dims[role].count; d++) {
      const int64_t move = a.stride[role][d] * (p.dims[role].size[d] - 1);
      (move < 0 ? e.low : e.high) += move;
    }
  }
  if (a.size) {
    const int64_t move = a.step * (a.size - 1);
    (move < 0 ? e.low : e.high) += move;
  }
  return e;
}

void read_array(Reader& r, Product& p, Array& a, int64_t t) {
  a.dtype = (int)r.below(9);
  a.base = r.next();
  a.base += t * r.next();
  for (int role = 0; role < ROLES; role++)
    for (int d = 0; d < p.dims[role].count; d++) a.stride[role][d] = r.next();
  a.first = r.next();
  a.step = r.next();
  a.size = r.next();
  a.fill = r.next();
}

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

std::string read_plan(const int64_t* plan, size_t length, const std::vector<Buffer>& operands, Buffer result, Product& p) {
  Reader r{plan, plan + length};
  if (r.next() != PLAN_VERSION) return "the plan is of another version than the library";
  if (operands.size() < 3) return "a product has at least x, y and its scalars";
  for (Dims& d : p.dims) {
    d.count = (int)r.below(MOST_DIMS + 1);
    for (int n = 0; n < d.count; n++) {
      d.size[n] = r.next();
      if (d.size[n] < 1) r.broken = true;
      d.total *= d.size[n];
    }
  }
  p.limbs = 1 + (int)r.below(2);
  p.limb_bits = (int)r.below(32);
  p.low = r.below(2);
  p.values = r.below(2);
  p.bytes = r.below(2);
  p.bound = r.next();
  p.sub = r.next();
  if (p.bound < 1 << 15 || p.bound > INT32_MAX) r.broken = true;  // of a pair that breaks it, twice the bound holds
  p.limit = r.broken ? 0 : INT32_MAX / p.bound;
  if (r.broken || p.sub < 4 || p.sub > 32 || (p.sub & (p.sub - 1))) return "the plan is broken";
  p.pairs = up((p.dims[TERM].total + 1) / 2, p.sub);
  p.panels = (p.dims[COLUMN].total + PANEL - 1) / PANEL;
  p.packed_bytes = packed_bytes(p.dims[TERM].total, p.dims[COLUMN].total, p.sub, p.bytes);
  const Buffer& scalars = operands[2];
  if (scalars.elements < 1) return "the iteration is missing";
  const int64_t t = ((const int64_t*)scalars.data)[0];
  read_array(r, p, p.x, t);
  read_array(r, p, p.y, t);
  read_array(r, p, p.out, t);
  p.x.data = (const char*)operands[0].data;
  p.y.data = (const char*)operands[1].data;
  p.out.data = (const char*)result.data;
  p.array_count = (int)r.below(MOST_ARRAYS + 1);
  for (int n = 0; n < p.array_count; n++) {
    const int64_t operand = r.below((int64_t)operands.size() + 1);
    read_array(r, p, p.arrays[n], t);
    if (r.broken) return "the plan is broken";
    if (operand == 0) {
      p.arrays[n].dtype = 0;
      continue;
    }
    const Buffer& b = operands[operand - 1];
    p.arrays[n].data = (const char*)b.data;
    const bool roles[ROLES] = {true, true, true, false};
    const Extent e = reach(p, p.arrays[n], roles);
    if (e.low < 0 || e.high >= b.elements || p.arrays[n].dtype != b.size) return "the code reads outside of an array";
  }
  p.constant_count = (int)r.below(MOST_INSTRUCTIONS + 1);
  for (int n = 0; n < p.constant_count; n++) {
    const int64_t given = r.next(), value = r.next();
    if (given < 0 || given >= scalars.elements) return "an immediate is missing";
    p.constants[n] = given ? ((const int64_t*)scalars.data)[given] : value;
  }
  p.register_count = (int)r.below(MOST_INSTRUCTIONS + 2);
  p.instruction_count = (int)r.below(MOST_INSTRUCTIONS + 1);
  for (int n = 0; n < p.instruction_count; n++) {
    Instruction& it = p.code[n];
    it.op = (int32_t)r.below(OPCODES);
    it.wide = (int32_t)r.below(2);
    it.level = (int32_t)r.below(3);
    it.to = (int32_t)r.below(p.register_count);
    const bool array = it.op == LOAD || it.op == GATHER;
    it.a = (int32_t)r.below(it.op == CONSTANT ? p.constant_count : array ? p.array_count : p.register_count);
    it.b = (int32_t)r.below(p.register_count);
    it.c = (int32_t)r.below(p.register_count);
  }
  p.result = (int)r.below(p.register_count);
  p.result_wide = (int)r.below(2);
  if (r.broken || r.at != r.end) return "the plan is broken";
  if (p.pairs > MOST_PAIRS) return "too many terms";
  const bool xr[ROLES] = {true, true, false, true}, yr[ROLES] = {true, false, true, true}, outr[ROLES] = {true, true, true, false};
  const Extent ex = reach(p, p.x, xr), ey = reach(p, p.y, yr), eo = reach(p, p.out, outr);
  if (ex.low < 0 || ex.high >= operands[0].elements || p.x.dtype != operands[0].size) return "x is read outside of its array";
  if (p.values && (ey.low < 0 || ey.high >= operands[1].elements || p.y.dtype != operands[1].size)) return "y is read outside of its array";
  if (!p.values && operands[1].elements * operands[1].size != p.packed_bytes * p.dims[BATCH].total)
    return "packed weights have another size than the plan says";
  if (eo.low < 0 || eo.high >= result.elements || p.out.dtype != result.size) return "the result is written outside of its array";
  return "";
}

int64_t packed_bytes(int64_t terms, int64_t columns, int64_t sub, bool bytes) {
  const int64_t pairs = up((terms + 1) / 2, sub), panels = (columns + PANEL - 1) / PANEL;
  return up(panels * pairs * (bytes ? 2 : 4) * PANEL + panels * (pairs / sub), 64);
}

namespace {

void divide(Product& p, int64_t threads) {
  const int64_t batches = p.dims[BATCH].total, rows = p.dims[ROW].total, width = 2 * p.pairs * p.limbs;
  p.tile_rows = 1;
  while (p.tile_rows < 16 && p.tile_rows < rows) p.tile_rows *= 2;
  p.tile_panels = TILE / PANEL / p.tile_rows;
  while (p.tile_panels > 1 && p.tile_panels / 2 >= p.panels) p.tile_panels /= 2, p.tile_rows *= 2;
  const int64_t groups = up(p.panels, p.tile_panels) / p.tile_panels;
  const int64_t wanted = threads > 1 ? 4 * threads : 1;
  // Rows once for all if they are few: the weights are then read once. Otherwise blocks of rows, each with all panels.
  p.shared_rows = !p.values && rows <= 4 * ROWS && rows * width * batches <= (int64_t)1 << 22;
  if (p.shared_rows) {
    p.rows_of_task = rows;
    const int64_t each = wanted / batches > 1 ? wanted / batches : 1;
    p.groups_of_task = (groups + each - 1) / each;
  } else {
    const int64_t fit = ((int64_t)1 << 17) / width / ROWS * ROWS;
    const int64_t most = fit < ROWS ? ROWS : fit > 4 * ROWS ? 4 * ROWS : fit;
    const int64_t each = (wanted + batches - 1) / batches;
    const int64_t even = up((rows + each - 1) / each, ROWS);
    p.rows_of_task = even < most ? even : most;
    p.groups_of_task = groups;
  }
  p.row_tasks = (rows + p.rows_of_task - 1) / p.rows_of_task;
  p.group_tasks = (groups + p.groups_of_task - 1) / p.groups_of_task;
}

// One allocation of a thread, kept for its next product.
class Memory {
 public:
  Scratch scratch(const Product& p) {
    const int64_t limits[] = {
        p.shared_rows ? 0 : p.rows_of_task * p.limbs * 2 * p.pairs * 2,
        p.shared_rows ? 0 : p.rows_of_task * p.limbs * (p.pairs / p.sub),
        (int64_t)PANEL_ROWS * 2 * p.pairs * 2,
        p.values ? packed_bytes(p.dims[TERM].total, p.dims[COLUMN].total, p.sub, false) : 0,
        p.bytes ? (int64_t)BLOCK_PAIRS * 4 * PANEL : 0,
        (int64_t)p.tile_panels * 2 * ROWS * p.limbs * PANEL * 4,
        (int64_t)p.register_count * TILE * 8,
        ((p.rows_of_task > p.dims[TERM].total ? p.rows_of_task : p.dims[TERM].total) + PANEL) * 8,
        (int64_t)(p.array_count + 1) * (ROWS + TILE) * 8,
    };
    int64_t starts[10] = {0};
    for (int n = 0; n < 9; n++) starts[n + 1] = starts[n] + up(limits[n], 64) + 64;
    if (starts[9] > size_) {
      free(data_);
      size_ = up(starts[9], 4096);
      if (posix_memalign((void**)&data_, 64, size_)) abort();
    }
    return {(int16_t*)(data_ + starts[0]), (uint8_t*)(data_ + starts[1]), (int16_t*)(data_ + starts[2]),
            data_ + starts[3],             (int16_t*)(data_ + starts[4]), (int32_t*)(data_ + starts[5]),
            (int64_t*)(data_ + starts[6]), (int64_t*)(data_ + starts[7]), (int64_t*)(data_ + starts[8])};
  }
  ~Memory() { free(data_); }

 private:
  char* data_ = nullptr;
  int64_t size_ = 0;
};

Memory& memory() {
  static thread_local Memory mine;
  return mine;
}

// Numbers 0 .. count - 1, by this thread and whoever the pool lends. A helper that comes too late finds nothing to do.
void share(const Pool& pool, int64_t count, const std::function<void(int64_t)>& work) {
  struct Job {
    std::atomic<int64_t> next{0}, done{0};
  };
  if (pool.threads < 2 || count < 2) {
    for (int64_t n = 0; n < count; n++) work(n);
    return;
  }
  auto job = std::make_shared<Job>();
  auto loop = [job, count, &work] {
    for (int64_t n; (n = job->next.fetch_add(1)) < count; job->done.fetch_add(1, std::memory_order_release)) work(n);
  };
  // `work` is only touched while a number is left, that is before this function returns.
  for (int64_t t = 1; t < pool.threads && t < count; t++) pool.schedule(loop);
  loop();
  for (int spins = 0; job->done.load(std::memory_order_acquire) < count; spins++)
    if (spins > 4096) std::this_thread::yield();
}

}  // namespace

void run(Product& p, const Kernels& kernels, const Pool& pool) {
  const int64_t batches = p.dims[BATCH].total, rows = p.dims[ROW].total, width = 2 * p.pairs * p.limbs;
  const double terms = (double)batches * rows * p.dims[COLUMN].total * p.dims[TERM].total;
  const Pool alone{1, nullptr};
  const Pool& mine = terms < LEAST_SHARED_TERMS ? alone : pool;
  divide(p, mine.threads);
  char* shared = nullptr;
  if (p.shared_rows) {
    const int64_t subs = p.pairs / p.sub * p.limbs, words = batches * rows * width * (int64_t)sizeof(int16_t);
    if (posix_memalign((void**)&shared, 64, words + batches * rows * subs)) abort();
    p.packed_rows = (int16_t*)shared;
    p.spare = (uint8_t*)shared + words;
    // Parts begin where panels do.
    const int64_t each = rows * width < 1 << 15 ? rows : up((rows + mine.threads - 1) / mine.threads, PANEL_ROWS);
    const int64_t parts = (rows + each - 1) / each;
    share(mine, batches * parts, [&](int64_t n) {
      const int64_t batch = n / parts, first = n % parts * each, count = rows - first < each ? rows - first : each;
      const int64_t at = batch * rows + first;
      kernels.pack_rows(p, p.packed_rows + at * width, p.spare + at * subs, batch, first, count, memory().scratch(p));
    });
  }
  share(mine, batches * p.row_tasks * p.group_tasks, [&](int64_t n) { kernels.task(p, memory().scratch(p), n); });
  free(shared);
}

void pack(const int16_t* y, int64_t terms, int64_t columns, int64_t sub, bool bytes, int64_t bound, char* to) {
  const int64_t pairs = up((terms + 1) / 2, sub), panels = (columns + PANEL - 1) / PANEL, unit = (bytes ? 2 : 4) * PANEL;
  uint8_t* flags = (uint8_t*)to + panels * pairs * unit;
  std::vector<int16_t> words(pairs * 2 * PANEL);
  memset(to, 0, packed_bytes(terms, columns, sub, bytes));
  for (int64_t panel = 0; panel < panels; panel++) {
    std::fill(words.begin(), words.end(), 0);
    for (int64_t c = 0; c < PANEL && panel * PANEL + c < columns; c++) {
      const int16_t* column = y + (panel * PANEL + c) * terms;
      for (int64_t k = 0; k < terms; k++) words[(k / 2 * PANEL + c) * 2 + k % 2] = column[k];
    }
    char* at = to + panel * pairs * unit;
    if (bytes)
      for (size_t i = 0; i < words.size(); i++) ((int8_t*)at)[i] = (int8_t)words[i];
    else
      memcpy(at, words.data(), words.size() * 2);
    for (int64_t s = 0; s < pairs / sub; s++) flags[panel * (pairs / sub) + s] = flag_of(words.data() + s * sub * 2 * PANEL, sub, bound);
  }
}

}  // namespace touchstone
