// Rows of bytes with a scale of their own: what normalized rows become once the largest values of each are known.
#pragma once

#include "fastnorm/operations.h"

namespace fastnorm {

// A forward call whose groups are the rows. With a sum, x is made first.
struct RowCall {
    Space space;
    Input x;
    const Sum* sum;
    Parameters parameters;
    Scale scale;
    Input where;
    bool is_varied;  // whether the parameters vary from row to row
};

// Normalizes into memory of its own, and rounds that to the bytes at `y`. scale, zero_point: one value a row.
void quantize_rows(const RowCall& call, const QuantizeRowsOptions& options, Output y, float* scale,
                   std::int32_t* zero_point);

}  // namespace fastnorm
