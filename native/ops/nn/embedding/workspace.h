// How the backward of the embedding is cut on CUDA, by the size of the problem alone, and so what memory it needs. Host
// code.
#pragma once
#include <cstdint>

namespace cfgd {

/// Positions, in the order of their ids, that one block adds up: pieces for some 512 blocks, of 32 to 256 positions.
inline int embedding_piece(int64_t count) {
  int piece = 32;
  while (piece < 256 && count > int64_t{piece} * 512) piece *= 2;
  return piece;
}

inline int64_t embedding_pieces(int64_t count) {
  const int piece = embedding_piece(count);
  return (count + piece - 1) / piece;
}

}  // namespace cfgd
