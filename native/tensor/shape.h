// Dimensions of a row-major tensor.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/error.h"

namespace cfgd {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  static constexpr int64_t kMaxElements = int64_t{1} << 40;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) push(d);
  }

  /// Appends a dimension; throws when it is negative, the rank too high, or the product of the dimensions other than 0
  /// over the limit: so no product of dimensions overflows, also where there are no elements.
  void push(int64_t d) {
    if (rank_ == kMaxRank) fail(CFGD_SHAPE, "shape", "expected at most %d dimensions", kMaxRank);
    if (d < 0) fail(CFGD_SHAPE, "shape", "expected non-negative dimensions, got %lld", static_cast<long long>(d));
    int64_t product = 1;
    for (int i = 0; i < rank_; i++) product *= dims_[i] ? dims_[i] : 1;
    if (d > 0 && product > kMaxElements / d) fail(CFGD_SHAPE, "shape", "expected at most 2^40 elements");
    dims_[rank_++] = d;
  }

  int rank() const { return rank_; }
  /// Dimension `i`; negative counts from the end.
  int64_t operator[](int i) const { return dims_[i < 0 ? rank_ + i : i]; }
  void set(int i, int64_t d) { dims_[i < 0 ? rank_ + i : i] = d; }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; i++) n *= dims_[i];
    return n;
  }
  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; i++)
      if (dims_[i] != other.dims_[i]) return false;
    return true;
  }
  std::string text() const {
    std::string s = "[";
    for (int i = 0; i < rank_; i++) s += (i ? ", " : "") + std::to_string(dims_[i]);
    return s + "]";
  }

 private:
  int rank_ = 0;
  int64_t dims_[kMaxRank] = {};
};

}  // namespace cfgd
