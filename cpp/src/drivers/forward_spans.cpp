// Forward along spans: a task takes a few neighbouring groups, sums and normalizes them while they are in the cache.
// Few long groups are cut across tasks instead.
#include <vector>

#include <memory>

#include "drivers/driver_call.h"
#include "span_driver.h"

namespace fastnorm {
namespace {

template <class T>
class SpanForward {
public:
    using C = Compute<T>;

    SpanForward(const Call<T>& call, const Saved& saved, bool output)
        : call_(call),
          saved_(saved),
          output_(output),
          blocks_(call.plan),
          tasks_(call.plan, blocks_.elements() * sizeof(T), blocks_.by_runs()),
          sweep_(call, tasks_, Step::normalize) {}

    void run() {
        if (splits_groups(tasks_.count(), blocks_.count(), call_.threads)) {
            if (call_.sum) SumSweep<T>(call_, call_.plan.axes).run_parallel(call_.bases, call_.threads);
            run_split();
            return;
        }
        // From half the size on at which it writes past the caches: 3500x768 on one thread 546 to 416 us (Zen 5).
        if (outgrows_caches(Traffic::forward, 4 * data_bytes(), call_.threads) && !call_.sum)
            sweep_.set_ahead(next_task());
        parallel_for(tasks_.count(), call_.threads, [&](std::size_t task) {
            std::size_t n;
            const Offset offset = tasks_.offset(task, n);
            Bases first = at(call_.bases, offset);
            Coefficients<C> stats(n);
            std::unique_ptr<T[]> scratch;
            if (call_.sum) sum(first, n, scratch);
            moments(first, offset.stat, n, stats);
            if (output_) sweep_.run(first, stats, n, offset.param);
        });
    }

private:
    std::size_t data_bytes() const { return call_.plan.kept.count() * blocks_.elements() * sizeof(T); }
    // Elements from one task's x to the next one's.
    std::ptrdiff_t next_task() const { return tasks_.task_step(kX) / static_cast<std::ptrdiff_t>(sizeof(T)); }

    // Makes x for n groups. Where it is written past the caches, what follows reads a second one that stays in them.
    void sum(Bases& first, std::size_t n, std::unique_ptr<T[]>& scratch) const {
        const Axes box = tasks_.box(n);
        const auto bytes = static_cast<std::ptrdiff_t>(blocks_.elements() * sizeof(T));
        const bool in_place = first[kX] == first[kDy] || first[kX] == first[kExtra];
        const bool contiguous = blocks_.contiguous<T>(kX) && tasks_.even(kX) && tasks_.groups().stride[kX] == bytes;
        if (!call_.stream || in_place || !contiguous) {
            SumSweep<T>(call_, box).run(first);
            return;
        }
        SumSweep<T>(call_, box, true).run(first);
        scratch.reset(new T[n * blocks_.elements()]);
        first[kX] = reinterpret_cast<char*>(scratch.get());
        SumSweep<T>(call_, box).run(first);
    }

    void finish(std::size_t i, std::ptrdiff_t stat, const Moments& m, Coefficients<C>& stats) {
        const double scale = rstd(call_.scale, m);
        const Moments own = unscaled(m);
        stats.set(i, own.origin, own.rest, scale);
        save(saved_, stat, stats.mean[i], scale, own.m2);
    }

    // So many groups side by side are summed where they lie.
    static constexpr std::size_t kLine = 4;

    // Statistics of n neighbouring groups.
    void moments(const Bases& first, std::ptrdiff_t stat, std::size_t n, Coefficients<C>& stats) {
        if (blocks_.count() == 1 && in_lines() && aligned<T>(first[kX])) {
            lines(first, stat, n, stats);
            return;
        }
        if (blocks_.count() == 1 && kVector * blocks_.elements() <= kBlock) {
            gathered(first, stat, n, stats);
            return;
        }
        for (std::size_t i = 0; i < n; ++i) {
            const Moments m = span_moments<T>(call_.kernels, blocks_, at(first, tasks_.step(i))[kX], 0, blocks_.count(),
                                              call_.centred());
            finish(i, stat + tasks_.step(i).stat, m, stats);
        }
    }

    // Whether groups are in place, and neighbours lie evenly, all of a task or so many that it pays.
    bool in_lines() const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        if (!blocks_.contiguous<T>(kX) || tasks_.groups().stride[kX] % size != 0) return false;
        return tasks_.even(kX) || (tasks_.groups().n >= kLine && tasks_.line_step(kX) % size == 0);
    }

    // Groups that are one block each, in lines: the heads of a token are one, if keys and values stand beside them.
    void lines(const Bases& first, std::ptrdiff_t stat, std::size_t n, Coefficients<C>& stats) {
        const std::size_t line = tasks_.even(kX) ? n : tasks_.groups().n;
        const auto step = tasks_.groups().stride[kX] / static_cast<std::ptrdiff_t>(sizeof(T));
        const auto row = [&](std::size_t i) { return reinterpret_cast<const T*>(at(first, tasks_.step(i))[kX]); };
        BlockSums sums, further;
        for (std::size_t begin = 0; begin < n; begin += line) {
            const std::size_t some = std::min(line, n - begin);
            call_.kernels.span_moments(row(begin), step, some, blocks_.elements(), nullptr, call_.centred(),
                                       begin == 0 ? sums : further);
            if (begin == 0) continue;
            std::copy_n(further.pivot, some, sums.pivot + begin);
            std::copy_n(further.s1, some, sums.s1 + begin);
            std::copy_n(further.s2, some, sums.s2 + begin);
        }
        set_statistics(sums, stat, n, stats, 0, row);
    }

    // What statistics are written in at the most: whole vectors.
    static constexpr std::size_t kVector = 8;

    // The same for short groups that are not in place: some of them, in a tile.
    void gathered(const Bases& first, std::ptrdiff_t stat, std::size_t n, Coefficients<C>& stats) {
        const std::size_t elements = blocks_.elements(), most = kBlock / elements / kVector * kVector;
        const Borrowed<T> tile(kBlock);
        for (std::size_t begin = 0; begin < n; begin += most) {
            const std::size_t some = std::min(most, n - begin);
            for (std::size_t i = 0; i < some; ++i) {
                const char* const x = at(first, tasks_.step(begin + i))[kX];
                gather_range<T>(blocks_.axes(), kX, x, 0, elements, tile + i * elements);
            }
            BlockSums sums;
            call_.kernels.span_moments(tile, static_cast<std::ptrdiff_t>(elements), some, elements, nullptr,
                                       call_.centred(), sums);
            set_statistics(sums, stat, some, stats, begin,
                           [&](std::size_t i) -> const T* { return tile + i * elements; });
        }
    }

    // Of n groups from number `begin` on, whose sums are known; the i-th of them lies at row(i).
    template <class Row>
    void set_statistics(const BlockSums& sums, std::ptrdiff_t stat, std::size_t n, Coefficients<C>& stats,
                        std::size_t begin, Row&& row) {
        double m2[kBatch];
        if (is_mean_of_squares(call_.scale.statistic) &&
            call_.kernels.group_statistics(
                sums, n, blocks_.elements(), call_.centred(), call_.scale.eps,
                {stats.mean + begin, stats.rstd + begin, m2, stats.h + begin, stats.l + begin, stats.r + begin})) {
            if (!saved_.any()) return;
            for (std::size_t i = 0; i < n; ++i) {
                save(saved_, stat + tasks_.step(begin + i).stat, stats.mean[begin + i], stats.rstd[begin + i], m2[i]);
            }
            return;
        }
        for (std::size_t i = 0; i < n; ++i) {
            finish(begin + i, stat + tasks_.step(begin + i).stat,
                   block_moments(sums, i, row(i), blocks_.elements(), call_.centred()), stats);
        }
    }

    void run_split() {
        Coefficients<C> stats(call_.plan.kept.count());
        split_sums<Moments>(
            call_.plan.kept.count(), blocks_.count(), call_.threads,
            [&](std::size_t group, std::size_t begin, std::size_t end) {
                const Bases bases = at(call_.bases, call_.plan.kept.offset(group));
                return span_moments<T>(call_.kernels, blocks_, bases[kX], begin, end, call_.centred());
            },
            [&](std::size_t group, const Moments& m) { finish(group, call_.plan.kept.offset(group).stat, m, stats); });
        if (output_) sweep_.run_split(stats);
    }

    const Call<T>& call_;
    const Saved& saved_;
    bool output_;
    SpanBlocks blocks_;
    GroupTasks tasks_;
    GroupSweep<T> sweep_;
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
