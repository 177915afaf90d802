// The in-order execution queue of a device: one thread that runs what was pushed, in that order.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace cfgd {

class Queue {
 public:
  Queue();
  /// The job must not throw.
  void push(std::function<void()> job);
  /// Blocks the calling thread until everything pushed so far has run. Never called from JavaScript's thread while it
  /// should stay responsive.
  void drain();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool idle_ = false;  // the thread sleeps and wants to be woken
};

}  // namespace cfgd
