#include "running.h"

#include <cmath>

namespace fastnorm {
namespace {

void check_buffer(const char* name, const MutableTensor& buffer, const Layout& layout, const Tensor& x) {
    check_per_channel(name, buffer, layout, x);
    check_places(name, buffer);
}

}  // namespace

RunningUpdate::RunningUpdate(const RunningStatistics& running, const Layout& layout, const Tensor& x,
                             const NormOptions& options, const NormResults& results)
    : running_(running),
      channels_(layout.parameters.count()),
      size_(static_cast<double>(layout.group_size)),
      is_empty_(layout.is_empty()) {
    samples_ = channels_ ? layout.statistics.count() / channels_ : 0;
    if (options.mean_only) {
        running_.var = {};
    } else {
        check_several_values(layout);
        if (static_cast<bool>(running.mean) != static_cast<bool>(running.var)) {
            wrong_value(std::string("running_mean and running_var must be given together, got ") +
                        (running.mean ? "running_var" : "running_mean") + "=None");
        }
    }
    const std::pair<const char*, const MutableTensor*> buffers[] = {{"running_mean", &running_.mean},
                                                                    {"running_var", &running_.var}};
    for (const auto& [name, buffer] : buffers) {
        if (*buffer) check_buffer(name, *buffer, layout, x);
    }
    if (running_.var) check_apart("running_var", running_.var, "running_mean", running_.mean);
    const std::pair<const char*, const Tensor*> others[] = {{"x", &x},
                                                            {"weight", &options.weight},
                                                            {"bias", &options.bias},
                                                            {"where", &options.where},
                                                            {"out", &results.y.view},
                                                            {"mean", &results.mean.view},
                                                            {"rstd", &results.rstd.view}};
    for (const auto& [other, tensor] : others) {
        for (const auto& [name, buffer] : buffers) {
            if (*buffer) check_apart(name, *buffer, other, *tensor);
        }
    }
    check_number("momentum", running.momentum);
    check_number("ddof", running.ddof);
    if (running_.var && !is_empty_ && running.ddof >= size_) {
        const double ddof = running.ddof;
        const bool whole = ddof == std::floor(ddof) && ddof < 0x1p53;
        wrong_value("ddof must be less than the " + text(layout.group_size) + " values per channel of " +
                    shape_of("x", layout.data) + ", got " +
                    (whole ? text(static_cast<std::ptrdiff_t>(ddof)) : text(ddof)));
    }
}

void RunningUpdate::advance(const double* mean, const double* m2, const double* count) const {
    if (!running_.mean || is_empty_) return;
    advance(running_.mean, mean, count, 0.0, false);
    if (running_.var) advance(running_.var, m2, count, running_.ddof, true);
}

void RunningUpdate::advance(const MutableTensor& buffer, const double* batch, const double* count, double least,
                            bool is_variance) const {
    const double momentum = running_.momentum;
    if (momentum == 0.0) return;  // whatever the batch holds
    CallMemory memory;
    const Doubles old(buffer, memory, true);
    double* const fresh = memory.take<double>(channels_);
    average(batch, count, least, is_variance, old.get(), fresh);
    store_rounded(fresh, buffer);
}

void RunningUpdate::average(const double* batch, const double* count, double least, bool is_variance, const double* old,
                            double* fresh) const {
    const double momentum = running_.momentum;
    // A share of one leaves nothing of the old value, whatever it was.
    const auto mixed = [momentum](double before, double now) {
        return momentum == 1.0 ? now : (1.0 - momentum) * before + momentum * now;
    };
    if (samples_ == 1 && !count) {
        const double divisor = is_variance ? size_ - least : 1.0;
        for (std::size_t c = 0; c < channels_; ++c) fresh[c] = mixed(old[c], batch[c] / divisor);
        return;
    }
    for (std::size_t c = 0; c < channels_; ++c) {
        double sum = 0, seen = 0;
        for (std::size_t i = c; i < samples_ * channels_; i += channels_) {
            const double n = count ? count[i] : size_;
            if (!(n > least)) continue;
            sum += is_variance ? batch[i] / (n - least) : batch[i];
            seen += 1;
        }
        fresh[c] = seen > 0 ? mixed(old[c], sum / seen) : old[c];
    }
}

}  // namespace fastnorm
