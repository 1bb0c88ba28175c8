// Running statistics: what evaluation normalizes with, and their update in place after a training step.
#pragma once

#include "forward.h"
#include "kernels/dispatch.h"

namespace fastnorm {

// 1 / sqrt(var + eps) of n values in double, 0 where the sum is 0: in place.
inline void scale_of_variance(double* values, std::size_t n, double eps) {
    kernels().of<double>().inverse_root(values, n, eps);
}

// Whether double holds a sum of squares with all its digits.
inline bool keeps_squares(double sum) { return sum > 1e-290 && sum < 1e290; }

// A checked update, made once the batch's statistics are known.
class RunningUpdate {
public:
    // The buffers may share memory with nothing else in the call.
    RunningUpdate(const RunningStatistics& running, const Layout& layout, const Tensor& x, const NormOptions& options,
                  const NormResults& results);

    explicit operator bool() const { return static_cast<bool>(running_.mean); }
    // With a mask, `count` values are in each group, and a group counts that has enough of them. Where there is a group
    // for each sample, the batch's statistics are the samples' average.
    void advance(const double* mean, const double* m2, const double* count) const;

private:
    void advance(const MutableTensor& buffer, const double* batch, const double* count, double least,
                 bool is_variance) const;
    // The buffer's new values.
    void average(const double* batch, const double* count, double least, bool is_variance, const double* old,
                 double* fresh) const;

    RunningStatistics running_;
    std::size_t samples_, channels_;
    double size_;
    bool is_empty_;
};

}  // namespace fastnorm
