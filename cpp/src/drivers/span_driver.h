// The skeleton of the drivers along spans. A task takes a few neighbouring groups, sums them and sweeps them while they
// are in the cache; few long groups are cut into superblocks across tasks instead.
#pragma once

#include <vector>

#include "driver_call.h"
#include "spans.h"

namespace fastnorm {

// Whether there are too few groups for the threads, and enough blocks in them to share.
inline bool splits_groups(std::size_t tasks, std::size_t blocks, int threads) {
    const auto wanted = 4 * static_cast<std::size_t>(threads);
    return threads > 1 && tasks < wanted && blocks >= 4 * kSuperblock;
}

// The sums of `count` spans of so many blocks each, in superblocks and merged in the fixed tree.
// sum(span, begin, end) returns that of a span's blocks [begin, end); take(span, sum) gets the result in order.
template <class Value, class Sum, class Take>
void split_sums(std::size_t count, std::size_t blocks, int threads, Sum&& sum, Take&& take) {
    const std::size_t parts = (blocks + kSuperblock - 1) / kSuperblock;
    std::vector<Value> partial(count * parts);
    parallel_for(partial.size(), threads, [&](std::size_t task) {
        const std::size_t begin = task % parts * kSuperblock;
        partial[task] = sum(task / parts, begin, std::min(begin + kSuperblock, blocks));
    });
    for (std::size_t span = 0; span < count; ++span) take(span, merged(partial.data() + span * parts, parts));
}

// The elementwise step of tasks that have just been summed.
template <class T>
class GroupSweep {
public:
    GroupSweep(const Call<T>& call, const GroupTasks& tasks, Step step)
        : call_(call), tasks_(tasks), step_(step), planes_(of(tasks.chunk())) {}

    // Fetches this many elements ahead of a task.
    void set_ahead(std::ptrdiff_t elements) { planes_.set_ahead(elements); }
    // n groups from `first` on, whose statistics are the first n.
    void run(const Bases& first, const Coefficients<Compute<T>>& stats, std::size_t n, std::ptrdiff_t param) const {
        if (n == tasks_.chunk()) {
            planes_.run(first, stats, 0, planes_.units(), 0, param);
        } else {
            const Planes<T> rest = of(n);
            rest.run(first, stats, 0, rest.units(), 0, param);
        }
    }
    // All groups, each by all threads.
    void run_split(const Coefficients<Compute<T>>& stats) const {
        of(1).run_groups(call_.bases, stats, call_.plan.kept, 1, call_.threads);
    }

private:
    Planes<T> of(std::size_t groups) const {
        return Planes<T>(call_.kernels, tasks_.box(groups), call_.affine, step_, call_.stream);
    }

    const Call<T>& call_;
    const GroupTasks& tasks_;
    Step step_;
    Planes<T> planes_;
};

}  // namespace fastnorm
