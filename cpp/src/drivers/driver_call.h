// One call: everything its drivers share.
#pragma once

#include "coefficients.h"
#include "kernels/table.h"
#include "planes.h"
#include "shape/plan.h"
#include "statistics.h"
#include "threads/parallel.h"

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
    bool sum;     // whether x has to be made first: the sum of kDy and kExtra

    // The same with other parameters.
    Call with(const Affine<C>& other) const { return {kernels, plan, bases, other, scale, threads, stream, sum}; }
    bool centred() const { return is_centred(scale.statistic); }
    // What makes means of sums. A norm is a sum, not a mean.
    double inverse(std::size_t n) const {
        return scale.statistic == Statistic::norm ? 1.0 : 1.0 / static_cast<double>(n);
    }
};

// Makes x for the elements of a box.
template <class T>
class SumSweep {
    using C = Compute<T>;

public:
    // `stream`: x is written past the caches.
    SumSweep(const Call<T>& call, const Axes& box, bool stream = false)
        : axes_(operands(box)),
          affine_(axes_, {}),
          planes_(call.kernels, axes_, affine_, Step::add, stream),
          stats_(1) {
        stats_.set(0, 0, 0, 1);
    }
    void run(const Bases& bases) const { planes_.run(operands(bases), stats_, 0, planes_.units()); }
    void run_parallel(const Bases& bases, int threads) const { planes_.run_parallel(operands(bases), stats_, threads); }

private:
    static Axes operands(Axes box) {
        for (std::size_t i = 0; i < box.size(); ++i) {
            const auto stride = box[i].stride;
            box[i].stride = {stride[kDy], stride[kX], stride[kExtra], 0};
            box[i].stat = box[i].param = 0;
        }
        return box;
    }
    static Bases operands(const Bases& bases) { return {bases[kDy], bases[kX], bases[kExtra], nullptr}; }

    Axes axes_;
    Affine<C> affine_;
    Planes<T> planes_;
    Coefficients<C> stats_;
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
