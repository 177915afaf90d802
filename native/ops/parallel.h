// A parallel loop as kernels see it: plain function pointers, since kernels are compiled once per instruction set.
#pragma once
#include <cstdint>

namespace cfgd {

struct Parallel {
  using Task = void (*)(void* context, int64_t index);
  void* pool;
  void (*run)(void* pool, int64_t count, Task task, void* context);

  /// Calls body(begin, end) for consecutive chunks of `grain` that cover [0, n). Chunk borders depend on n and grain
  /// alone. What a body throws ends the loop and is thrown on here, once no chunk runs any more. A grain should hold some
  /// 20 µs of work or more.
  template <class Body>
  void operator()(int64_t n, int64_t grain, const Body& body) const {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (n <= grain) return body(int64_t{0}, n);
    struct Context {
      const Body* body;
      int64_t n, grain;
    } context{&body, n, grain};
    run(pool, (n + grain - 1) / grain,
        [](void* raw, int64_t index) {
          const Context& c = *static_cast<Context*>(raw);
          const int64_t begin = index * c.grain, end = begin + c.grain < c.n ? begin + c.grain : c.n;
          (*c.body)(begin, end);
        },
        &context);
  }
};

}  // namespace cfgd
