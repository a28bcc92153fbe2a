// The same without XLA: packing when a program is loaded, and products for tests.
#include <string.h>

#include <thread>

#include "driver.h"

namespace t = touchstone;

#pragma GCC visibility push(default)
extern "C" {

const char* touchstone_sources() { return TOUCHSTONE_SOURCES; }

// The name of the kernels that run: of `wanted`, or the best of this machine if it is empty; null if they do not run here.
const char* touchstone_kernels(const char* wanted) {
  const t::Kernels* found = t::kernels_named(wanted);
  return found ? found->name : nullptr;
}

int64_t touchstone_packed_bytes(int64_t terms, int64_t columns, int64_t sub, int32_t bytes) {
  return t::packed_bytes(terms, columns, sub, bytes != 0);
}

void touchstone_pack(const int16_t* y, int64_t terms, int64_t columns, int64_t sub, int32_t bytes, int64_t bound, char* to) {
  t::pack(y, terms, columns, sub, bytes != 0, bound, to);
}

// A product on buffers (data, elements, bytes of an element) of which the last is the result; 0, or what is wrong in `error`.
int32_t touchstone_run(const char* kernels, const int64_t* plan, int64_t length, const void* const* data, const int64_t* elements,
                       const int32_t* sizes, int32_t buffers, int32_t threads, char* error, int32_t room) {
  std::vector<t::Buffer> operands;
  for (int32_t n = 0; n + 1 < buffers; n++) operands.push_back({data[n], elements[n], sizes[n]});
  t::Product p;
  const t::Kernels* chosen = t::kernels_named(kernels);
  std::string wrong = chosen ? "" : "this machine does not run these kernels";
  if (wrong.empty()) wrong = t::read_plan(plan, (size_t)length, operands, {data[buffers - 1], elements[buffers - 1], sizes[buffers - 1]}, p);
  if (!wrong.empty()) {
    strncpy(error, wrong.c_str(), room - 1);
    error[room - 1] = 0;
    return 1;
  }
  std::vector<std::thread> helpers;
  t::run(p, *chosen, {threads, [&](std::function<void()> work) { helpers.emplace_back(std::move(work)); }});
  for (std::thread& helper : helpers) helper.join();
  return 0;
}
}
