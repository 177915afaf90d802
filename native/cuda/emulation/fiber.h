// A stack and a place to go on from. Switching costs a few nanoseconds on x86-64, where six registers make up the
// context; elsewhere it goes through ucontext.
#pragma once
#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cfgd::emulation {

struct Fiber {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
};

/// Makes `fiber` start at `entry`, which must never return, on the stack that ends at `top`.
void prepare(Fiber& fiber, char* bottom, char* top, void (*entry)());

/// Saves the running context in `from` and goes on in `to`.
void switch_to(Fiber& from, Fiber& to);

/// Stacks of one size, each above a page that must not be touched.
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  ~Stacks();
  /// At least `count` stacks. Throws std::bad_alloc.
  void reserve(unsigned count);
  char* bottom(unsigned index) const;
  char* top(unsigned index) const;

 private:
  char* memory_ = nullptr;
  unsigned count_ = 0;
};

}  // namespace cfgd::emulation
