#include "tensor/allocator.h"

namespace cfgd {

// Eight sizes per power of two: at most 12.5 % is lost and blocks are found again although shapes vary a little.
// Not under a sanitizer, which is to see the borders of the tensors, not of larger blocks.
static uint64_t rounded(uint64_t bytes) {
#ifdef CFGD_SANITIZED
  return bytes ? bytes : 1;
#endif
  constexpr uint64_t kSmallest = 512;
  if (bytes <= kSmallest) return kSmallest;
  uint64_t step = uint64_t{1} << (63 - __builtin_clzll(bytes));
  step = step / 8 < 64 ? 64 : step / 8;
  return (bytes + step - 1) / step * step;
}

Block* Allocator::acquire(uint64_t bytes) {
  const uint64_t size = rounded(bytes);
  std::lock_guard lock(mutex_);
  Block*& unused = cache_[size];
  Block* block = unused;
  if (block) {
    unused = block->next;
  } else {
    const auto use = [&] {
      return std::to_string(used_) + " in use, " + std::to_string(reserved_) + " held, " +
             (limit_ == UINT64_MAX ? "no limit is set" : "the limit is " + std::to_string(limit_));
    };
    if (size > limit_ || reserved_ > limit_ - size)
      throw Error(CFGD_MEMORY, "",
                  "out of memory: " + std::to_string(bytes) + " bytes asked for on " + id_ + ", " + use());
    auto made = std::make_unique<Block>();
    cfgd_status status{};
    made->data = backend_->allocate(device_, size, &status);
    if (!made->data) throw Error(status.code, status.argument, status.message + (" (" + use() + ")"));
    made->bytes = size;
    block = made.release();
    reserved_ += size;
  }
  used_ += size;
  if (used_ > peak_) peak_ = used_;
  return block;
}

void Allocator::give_back(Block* block) noexcept {
  std::lock_guard lock(mutex_);
  used_ -= block->bytes;
  Block*& unused = cache_.find(block->bytes)->second;
  block->next = unused;
  unused = block;
}

std::vector<Block*> Allocator::take_unused() {
  std::lock_guard lock(mutex_);
  std::vector<Block*> taken;
  size_t count = 0;
  for (const auto& [size, first] : cache_)
    for (const Block* block = first; block; block = block->next) count++;
  taken.reserve(count);
  for (auto& [size, first] : cache_)
    for (; first; first = first->next) taken.push_back(first);
  return taken;
}

void Allocator::release(const std::vector<Block*>& blocks) {
  std::lock_guard lock(mutex_);
  for (Block* block : blocks) {
    backend_->release(device_, block->data);
    reserved_ -= block->bytes;
    delete block;
  }
}

MemoryStatistics Allocator::statistics() {
  std::lock_guard lock(mutex_);
  return {used_, reserved_, peak_};
}

void Allocator::reset_peak() {
  std::lock_guard lock(mutex_);
  peak_ = used_;
}

void Allocator::set_limit(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  limit_ = bytes;
}

}  // namespace cfgd
