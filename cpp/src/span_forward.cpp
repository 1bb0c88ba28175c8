// Forward along spans: a task takes a few neighbouring groups, sums and normalizes them while they are in the cache.
// Few long groups are cut across tasks instead.
#include <vector>

#include "call.h"
#include "spans.h"

namespace fastnorm {
namespace {

constexpr std::size_t kTaskBytes = 32 * 1024;
constexpr std::size_t kMostGroups = 64;

template <class T>
class SpanForward {
public:
    using C = Compute<T>;

    SpanForward(const Call<T>& call, const Saved& saved, bool output)
        : call_(call), saved_(saved), output_(output), blocks_(call.plan), outer_(call.plan.kept) {
        if (outer_.size() > 0) {
            groups_ = outer_[outer_.size() - 1];
            outer_.erase(outer_.size() - 1);
        }
        const std::size_t bytes = std::max<std::size_t>(blocks_.elements() * sizeof(T), 1);
        chunk_ = std::clamp<std::size_t>(kTaskBytes / bytes, 1, std::min(kMostGroups, groups_.n));
    }

    void run() {
        const std::size_t chunks = (groups_.n + chunk_ - 1) / chunk_;
        const std::size_t tasks = outer_.count() * chunks;
        const auto threads = static_cast<std::size_t>(call_.threads);
        if (threads > 1 && tasks < 4 * threads && blocks_.count() >= 4 * kSuperblock) {
            run_split();
            return;
        }
        const Planes<T> planes(call_.kernels, box(chunk_), call_.affine, false);
        parallel_for(tasks, call_.threads, [&](std::size_t task) {
            const std::size_t first = task % chunks * chunk_;
            Offset offset = outer_.offset(task / chunks);
            offset.advance(groups_, first);
            const std::size_t n = std::min(chunk_, groups_.n - first);
            Coefficients<C> stats(n);
            moments(at(call_.bases, offset), offset.stat, n, stats);
            if (!output_) return;
            if (n == chunk_) {
                sweep(planes, offset, stats);
            } else {
                sweep(Planes<T>(call_.kernels, box(n), call_.affine, false), offset, stats);
            }
        });
    }

private:
    // The axes of n neighbouring groups, whose statistics stand side by side.
    Axes box(std::size_t n) const {
        Axes axes;
        for (std::size_t i = 0; i < call_.plan.axes.size(); ++i) {
            Axis axis = call_.plan.axes[i];
            if (!axis.is_reduced()) {
                if (axis.stat != groups_.stat) continue;
                axis.n = n;
                axis.stat = n > 1 ? 1 : 0;
                if (n == 1) continue;
            }
            axes.push(axis);
        }
        return axes;
    }

    void sweep(const Planes<T>& planes, const Offset& offset, const Coefficients<C>& stats) const {
        planes.run(at(call_.bases, offset), stats, 0, planes.units(), 0, offset.param);
    }

    void finish(std::size_t i, const Bases& bases, std::ptrdiff_t stat, const Moments& m, Coefficients<C>& stats) {
        const double origin = call_.centred() ? origin_of<T>(bases[kX]) : 0.0;
        const double scale = rstd(call_.scale, m.m2, static_cast<double>(blocks_.elements()));
        stats.set(i, origin, m.mean, scale);
        save(saved_, stat, stats.mean[i], scale, m.m2);
    }

    void moments(const Bases& first, std::ptrdiff_t stat, std::size_t n, Coefficients<C>& stats) {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const std::ptrdiff_t step = groups_.stride[kX];
        if (blocks_.count() == 1 && blocks_.contiguous<T>(kX) && step % size == 0 && aligned<T>(first[kX])) {
            // Every group is one block in place: sum them in one call.
            BlockSums sums[kMostGroups];
            const T* x = reinterpret_cast<const T*>(first[kX]);
            call_.kernels.span_moments(x, step / size, n, blocks_.elements(), call_.centred(), sums);
            for (std::size_t i = 0; i < n; ++i) {
                const Bases bases = group(first, i);
                const double origin = call_.centred() ? origin_of<T>(bases[kX]) : 0.0;
                finish(i, bases, stat + static_cast<std::ptrdiff_t>(i) * groups_.stat,
                       block_moments(sums[i], reinterpret_cast<const T*>(bases[kX]), 1, blocks_.elements(), origin,
                                     call_.centred()),
                       stats);
            }
            return;
        }
        for (std::size_t i = 0; i < n; ++i) {
            const Bases bases = group(first, i);
            finish(i, bases, stat + static_cast<std::ptrdiff_t>(i) * groups_.stat,
                   span_moments<T>(call_.kernels, blocks_, bases[kX], 0, blocks_.count(), call_.centred()), stats);
        }
    }

    Bases group(const Bases& first, std::size_t i) const {
        Offset step;
        step.advance(groups_, i);
        return at(first, step);
    }

    void run_split() {
        const std::size_t groups = call_.plan.kept.count();
        const std::size_t parts = (blocks_.count() + kSuperblock - 1) / kSuperblock;
        std::vector<Moments> partial(groups * parts);
        parallel_for(partial.size(), call_.threads, [&](std::size_t task) {
            const Bases bases = at(call_.bases, call_.plan.kept.offset(task / parts));
            const std::size_t begin = task % parts * kSuperblock;
            partial[task] = span_moments<T>(call_.kernels, blocks_, bases[kX], begin,
                                            std::min(begin + kSuperblock, blocks_.count()), call_.centred());
        });
        const Planes<T> planes(call_.kernels, box(1), call_.affine, false);
        Coefficients<C> stats(groups);
        for (std::size_t g = 0; g < groups; ++g) {
            Tree<Moments> tree;
            for (std::size_t part = 0; part < parts; ++part) tree.add(partial[g * parts + part]);
            const Offset offset = call_.plan.kept.offset(g);
            finish(g, at(call_.bases, offset), offset.stat, tree.result(), stats);
        }
        if (!output_) return;
        const std::size_t some = std::max<std::size_t>(1, 2 * kTaskBytes / planes.unit_bytes());
        const std::size_t tasks = (planes.units() + some - 1) / some;
        parallel_for(groups * tasks, call_.threads, [&](std::size_t task) {
            const Offset offset = call_.plan.kept.offset(task / tasks);
            const std::size_t begin = task % tasks * some;
            planes.run(at(call_.bases, offset), stats, begin, std::min(begin + some, planes.units()),
                       static_cast<std::ptrdiff_t>(task / tasks), offset.param);
        });
    }

    const Call<T>& call_;
    const Saved& saved_;
    bool output_;
    SpanBlocks blocks_;
    Axes outer_;
    Axis groups_ = kNoAxis;
    std::size_t chunk_;
};

}  // namespace

template <class T>
void span_forward(const Call<T>& call, const Saved& saved, bool output) {
    SpanForward<T>(call, saved, output).run();
}

template void span_forward(const Call<float>&, const Saved&, bool);
template void span_forward(const Call<double>&, const Saved&, bool);
template void span_forward(const Call<BF16>&, const Saved&, bool);
template void span_forward(const Call<F16>&, const Saved&, bool);

}  // namespace fastnorm
