#include "tensor/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <utility>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define CFGD_PAUSE() _mm_pause()
#else
#define CFGD_PAUSE() std::this_thread::yield()
#endif

namespace cfgd {

namespace {
// Loops follow each other within microseconds while a model runs; sleeping in between would cost more than the loop.
constexpr std::chrono::microseconds kSpin{40};

/// Waits for a condition without sleeping, but no longer than kSpin. Whether it came true.
template <class Condition>
bool spin_until(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; i++) {
      if (condition()) return true;
      CFGD_PAUSE();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

int threads_from_environment() {
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  const char* text = std::getenv("CFGDISTILL_THREADS");
  if (!text || !*text) return cores;
  const long value = std::strtol(text, nullptr, 10);
  return value < 1 ? cores : static_cast<int>(std::min(value, 256L));
}
}  // namespace

ThreadPool& ThreadPool::instance() {
  static ThreadPool* pool = new ThreadPool();
  return *pool;
}

ThreadPool::ThreadPool() {
  const int threads = threads_from_environment();
  for (int i = 1; i < threads; i++) {
    try {
      workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
      break;  // no more than these are allowed here
    }
    workers_.back().detach();
  }
  set_threads(threads);
}

void ThreadPool::set_threads(int threads) {
  wanted_ = std::clamp(threads, 1, static_cast<int>(workers_.size()) + 1);
}

Parallel ThreadPool::parallel() {
  return {this, [](void* pool, int64_t count, Parallel::Task task, void* context) {
            static_cast<ThreadPool*>(pool)->run(count, task, context);
          }};
}

void ThreadPool::take_chunks() {
  try {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i);
  } catch (...) {
    next_.store(count_, std::memory_order_relaxed);  // the other threads stop, too
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

void ThreadPool::run(int64_t count, Parallel::Task task, void* context) {
  const int helpers = static_cast<int>(std::min<int64_t>(wanted_.load(std::memory_order_relaxed), count)) - 1;
  std::unique_lock owner(owner_, std::try_to_lock);
  if (helpers < 1 || !owner) {
    for (int64_t i = 0; i < count; i++) task(context, i);
    return;
  }
  task_ = task;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    helpers_ = helpers;
    open_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  take_chunks();
  {
    // A helper that is not there by now, asleep or without a processor, is not waited for: nothing is left to do.
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  const auto alone = [&] { return running_.load(std::memory_order_acquire) == 0; };
  if (!spin_until(alone))
    while (!alone()) std::this_thread::yield();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::work(int index) {
  uint64_t seen = 0;
  for (;;) {
    spin_until([&] { return generation_.load(std::memory_order_acquire) != seen; });
    bool joins;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      seen = generation_.load(std::memory_order_relaxed);
      joins = open_ && index <= helpers_;
      if (joins) running_.fetch_add(1, std::memory_order_relaxed);
    }
    if (!joins) continue;
    take_chunks();
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace cfgd
