// One call: everything its drivers share.
#pragma once

#include "coefficients.h"
#include "kernels/table.h"
#include "parallel.h"
#include "plan.h"
#include "planes.h"
#include "statistics.h"

namespace fastnorm {

template <class T>
struct Call {
    using C = Compute<T>;

    const Kernels<T>& kernels;
    Plan plan;
    Bases bases;
    const Affine<C>& affine;
    Scale scale;
    int threads;
    bool stream;  // whether to write past the caches

    bool centred() const { return is_centred(scale.statistic); }
    // What sums are divided by. A norm is a sum, not a mean.
    double divisor(std::size_t n) const { return scale.statistic == Statistic::norm ? 1.0 : static_cast<double>(n); }
};

// Saved statistics of group i.
inline void save(const Saved& saved, std::ptrdiff_t i, double mean, double rstd, double m2) {
    if (saved.mean) saved.mean[i] = mean;
    if (saved.rstd) saved.rstd[i] = rstd;
    if (saved.m2) saved.m2[i] = m2;
}

// Drivers by orientation. With `output`, the normalized values are written too.
template <class T>
void span_forward(const Call<T>& call, const Saved& saved, bool output);
template <class T>
void column_forward(const Call<T>& call, const Saved& saved, bool output);

}  // namespace fastnorm
