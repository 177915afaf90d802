// The order in which blocks take the tiles of a matrix. Device and host code.
#pragma once
#include <cstdint>

#include "tensor/element.h"

namespace cfgd {

/// Tiles in stripes of a few rows of tiles, each from left to right: blocks that run at the same time then share rows
/// of one operand and columns of the other, which the second-level cache holds.
class Raster {
 public:
  CFGD_ANYWHERE Raster(int64_t m, int64_t n, int tile)
      : tile_(tile), down_((m + tile - 1) / tile), across_((n + tile - 1) / tile) {}
  CFGD_ANYWHERE int64_t tiles() const { return down_ * across_; }
  /// The first row, and the first column, of a tile.
  CFGD_ANYWHERE int64_t row(int64_t index) const {
    const int64_t stripe = index / (kStripe * across_);
    return (stripe * kStripe + index % (kStripe * across_) % height(stripe)) * tile_;
  }
  CFGD_ANYWHERE int64_t column(int64_t index) const {
    const int64_t stripe = index / (kStripe * across_);
    return index % (kStripe * across_) / height(stripe) * tile_;
  }

 private:
  static constexpr int64_t kStripe = 8;
  CFGD_ANYWHERE int64_t height(int64_t stripe) const {
    const int64_t left = down_ - stripe * kStripe;
    return left < kStripe ? left : kStripe;
  }

  int64_t tile_, down_, across_;
};

}  // namespace cfgd
