#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace cfgd::emulation {
namespace {

constexpr size_t kGuard = 4096;
constexpr size_t kStack = 128 << 10;
constexpr size_t kStride = kGuard + kStack;
// Stack tops at the same distance would all fall into one set of the cache.
constexpr size_t kStagger = 64 * 9;

}  // namespace

#if defined(__x86_64__)

extern "C" void cfgd_emulation_switch(void** save, void* load);

// The registers that a called function must preserve are saved on the old stack and restored from the new one.
asm(R"(
.text
.local cfgd_emulation_switch
.type cfgd_emulation_switch, @function
cfgd_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cfgd_emulation_switch, . - cfgd_emulation_switch
)");

void prepare(Fiber& fiber, char*, char* top, void (*entry)()) {
  constexpr int kSaved = 6;
  void** stack = reinterpret_cast<void**>(top);
  *--stack = nullptr;  // where `entry` would return to; also aligns its frame
  *--stack = reinterpret_cast<void*>(entry);
  stack -= kSaved;
  std::memset(stack, 0, kSaved * sizeof(void*));
  fiber.stack_pointer = stack;
}

void switch_to(Fiber& from, Fiber& to) { cfgd_emulation_switch(&from.stack_pointer, to.stack_pointer); }

#else

void prepare(Fiber& fiber, char* bottom, char* top, void (*entry)()) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = bottom;
  fiber.context.uc_stack.ss_size = static_cast<size_t>(top - bottom);
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
}

void switch_to(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#endif

Stacks::~Stacks() {
  if (memory_) munmap(memory_, kStride * count_);
}

void Stacks::reserve(unsigned count) {
  if (count <= count_) return;
  if (memory_) munmap(memory_, kStride * count_);
  memory_ = nullptr;
  count_ = 0;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, kStride * count, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  count_ = count;
  for (unsigned i = 0; i < count; i++)
    if (mprotect(memory_ + i * kStride, kGuard, PROT_NONE) != 0) throw std::bad_alloc();
}

char* Stacks::bottom(unsigned index) const { return memory_ + index * kStride + kGuard; }
char* Stacks::top(unsigned index) const { return memory_ + (index + 1) * kStride - kStagger * (index % 64); }

}  // namespace cfgd::emulation
