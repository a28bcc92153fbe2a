// Multiplies and packs what stdin asks for, in memory that ends where its data end, and writes the results to stdout. products.py
// compiles it together with prover/native/, runs it and knows what must come out.
//
// Everything is 64-bit numbers but data. `0 kernels` (8 bytes of a name) says whether they run here. `1 kernels threads numbers buffers`,
// the plan's numbers, and for each buffer its elements, bytes of one and data: the last one is the result, and comes back.
// `2 columns terms sub bytes bound` and words packs them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

extern "C" {
const char* touchstone_kernels(const char* wanted);
int64_t touchstone_packed_bytes(int64_t terms, int64_t columns, int64_t sub, int32_t bytes);
void touchstone_pack(const int16_t* y, int64_t terms, int64_t columns, int64_t sub, int32_t bytes, int64_t bound, char* to);
int32_t touchstone_run(const char* kernels, const int64_t* plan, int64_t length, const void* const* data, const int64_t* elements,
                       const int32_t* sizes, int32_t buffers, int32_t threads, char* error, int32_t room);
}

static bool get(void* to, size_t size) { return !size || fread(to, size, 1, stdin) == 1; }

static int64_t number() {
  int64_t n = 0;
  if (!get(&n, 8)) exit(2);
  return n;
}

static void put(const void* from, size_t size) {
  const int64_t count = (int64_t)size;
  fwrite(&count, 8, 1, stdout);
  if (size) fwrite(from, size, 1, stdout);
  fflush(stdout);
}

int main() {
  for (int64_t what; get(&what, 8);) {
    if (what == 2) {
      const int64_t columns = number(), terms = number(), sub = number(), bytes = number(), bound = number();
      int16_t* words = (int16_t*)malloc((size_t)(columns * terms) * 2);
      if (!get(words, (size_t)(columns * terms) * 2)) return 2;
      const size_t size = (size_t)touchstone_packed_bytes(terms, columns, sub, (int32_t)bytes);
      char* packed = (char*)aligned_alloc(64, size);
      touchstone_pack(words, terms, columns, sub, (int32_t)bytes, bound, packed);
      put(packed, size);
      free(packed);
      free(words);
      continue;
    }
    char kernels[9] = {0};
    if (!get(kernels, 8)) return 2;
    if (what == 0) {
      put("yes", touchstone_kernels(kernels) ? 3 : 0);
      continue;
    }
    const int64_t threads = number(), length = number(), buffers = number();
    std::vector<int64_t> plan((size_t)length), elements;
    if (!get(plan.data(), (size_t)length * 8)) return 2;
    std::vector<void*> data;
    std::vector<int32_t> sizes;
    for (int64_t n = 0; n < buffers; n++) {
      elements.push_back(number());
      sizes.push_back((int32_t)number());
      const size_t size = (size_t)elements.back() * (size_t)sizes.back();
      data.push_back(malloc(size));
      if (!get(data.back(), size)) return 2;
    }
    char error[200] = {0};
    if (touchstone_run(kernels, plan.data(), length, data.data(), elements.data(), sizes.data(), (int32_t)buffers, (int32_t)threads, error, 200)) {
      fprintf(stderr, "%s\n", error);
      return 3;
    }
    put(data.back(), (size_t)elements.back() * (size_t)sizes.back());
    for (void* one : data) free(one);
  }
  return 0;
}
