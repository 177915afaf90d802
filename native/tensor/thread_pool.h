// The one thread pool of the process, and the parallel loop that kernels get.
//
// Work is cut into chunks whose borders depend on the problem alone, never on the number of threads, so results do not
// either. A second caller (a synchronous kernel on another JavaScript thread) does not wait for the pool: it runs its
// own chunks itself.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "ops/parallel.h"

namespace cfgd {

class ThreadPool {
 public:
  /// Made at the first call and never destroyed: threads may still run when the process exits.
  static ThreadPool& instance();

  int threads() const { return wanted_.load(std::memory_order_relaxed); }
  /// Sets how many threads share a loop, the caller included; at least 1, at most what the pool was made with.
  void set_threads(int threads);
  Parallel parallel();

 private:
  ThreadPool();
  void run(int64_t count, Parallel::Task task, void* context);
  void work(int index);
  void take_chunks();

  std::mutex owner_;  // held by the caller whose loop the pool runs
  std::atomic<int> wanted_{1};
  std::vector<std::thread> workers_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};  // workers inside the current loop; rises under mutex_ only
  int helpers_ = 0;              // workers that may join the current loop
  bool open_ = false;            // whether the current loop can still be joined

  Parallel::Task task_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  std::exception_ptr failure_;  // the first that a task threw; under mutex_ while the loop runs
};

}  // namespace cfgd
