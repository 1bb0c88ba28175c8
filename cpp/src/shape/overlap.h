// Whether strided arrays share memory.
#pragma once

#include "fastnorm/operations.h"

namespace fastnorm {

// Whether two tensors may share an element: exact, but for puzzles of many interleaved axes, which count as shared.
// That costs a temporary and never a wrong answer.
bool overlap(const Tensor& a, const Tensor& b);

// Whether two tensors of one shape have every element in the same place.
bool same_memory(const Tensor& a, const Tensor& b);

// Whether two elements of one tensor may share memory: an axis with a stride below the reach of the ones inside it.
// True also for interleaved axes that happen to miss each other; slices, transposes and diagonals never look so.
bool overlaps_itself(const Tensor& tensor);

}  // namespace fastnorm
