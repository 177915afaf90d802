#include "tensor/queue.h"

namespace cfgd {

Queue::Queue() { std::thread([this] { work(); }).detach(); }

void Queue::push(std::function<void()> job) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    wake = idle_;
    idle_ = false;
  }
  if (wake) wake_.notify_one();
}

void Queue::drain() {
  std::mutex done_mutex;
  std::condition_variable done_wake;
  bool done = false;
  push([&] {
    std::lock_guard lock(done_mutex);
    done = true;
    done_wake.notify_one();
  });
  std::unique_lock lock(done_mutex);
  done_wake.wait(lock, [&] { return done; });
}

void Queue::work() {
  std::deque<std::function<void()>> batch;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      while (jobs_.empty()) {
        idle_ = true;
        wake_.wait(lock);
      }
      idle_ = false;
      batch.swap(jobs_);
    }
    for (auto& job : batch) {
      job();
      job = nullptr;  // what it holds is released now, not at the end of the batch
    }
    batch.clear();
  }
}

}  // namespace cfgd
