// Everything that threads share, used by several at once: loops of nested numbers of threads, exceptions in tasks, the
// memory of results under changing limits, settings, forks in the middle of it. Made for ThreadSanitizer; wrong results
// count as well. Prints what was wrong, and ends with the number of faults.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "fastnorm/fastnorm.h"
#include "memory/result_pool.h"
#include "memory/thread_memory.h"
#include "threads/parallel.h"

#if defined(__linux__)
#include <dirent.h>
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#if defined(__linux__)
#include <sys/syscall.h>

#include <cerrno>

// In place of the system's: every second time that a thread takes its processors back, some of them are gone.
extern "C" int sched_setaffinity(pid_t pid, std::size_t size, const cpu_set_t* set) noexcept {
    static thread_local int calls = 0;
    if (CPU_COUNT(set) < CPU_SETSIZE && ++calls % 4 == 0) {
        errno = EINVAL;
        return -1;
    }
    return static_cast<int>(syscall(SYS_sched_setaffinity, pid, size, set));
}
#endif

namespace fn = fastnorm;

namespace {

std::atomic<int> faults{0};

void expect(bool condition, const char* what) {
    if (condition) return;
    ++faults;
    std::fprintf(stderr, "stress: %s\n", what);
}

constexpr std::size_t kRows = 96, kLanes = 1536;  // worth four threads

struct Layer {
    explicit Layer(unsigned seed) : x(kRows * kLanes), y(x.size()), dx(x.size()), mean(kRows), rstd(kRows) {
        for (float& value : x) {
            seed = seed * 1664525u + 1013904223u;
            value = static_cast<float>(seed >> 8) / 16777216.0f;
        }
    }
    // Layer norm and its backward; down columns if `roles` say so.
    void run(bool columns = false) {
        const std::size_t shape[] = {kRows, kLanes};
        const std::uint8_t roles[] = {columns ? fn::reduced : fn::kept, columns ? fn::param : fn::reduced_param};
        const fn::Space space{fn::DType::f32, 2, shape, roles};
        const std::size_t groups = columns ? kLanes : kRows;
        mean.resize(groups), rstd.resize(groups);
        std::vector<double> sums(2 * kLanes);
        fn::Saved saved;
        saved.mean = mean.data(), saved.rstd = rstd.data();
        fn::forward(space, {x.data()}, {y.data()}, {}, {}, saved);
        fn::Gradients out;
        out.dx = {dx.data()}, out.dweight = sums.data(), out.dbias = sums.data() + kLanes;
        fn::backward(space, {x.data()}, {x.data()}, nullptr, {}, true, mean.data(), rstd.data(), out);
    }
    bool equals(const Layer& other) const { return y == other.y && dx == other.dx && mean == other.mean; }

    std::vector<float> x, y, dx;
    std::vector<double> mean, rstd;
};

void calls(int threads, int times) {
    fn::set_local_num_threads(1);
    Layer want(7), got(7);
    for (const bool columns : {false, true}) {
        fn::set_local_num_threads(1);
        want.run(columns);
        fn::set_local_num_threads(threads);
        for (int i = 0; i < times; ++i) {
            got.run(columns);
            expect(got.equals(want), "other bits with other threads around");
        }
    }
}

void nested_loops(int threads) {
    std::vector<int> done(20 * 30);
    fn::parallel_for(20, threads, [&](std::size_t i) {
        const fn::Borrowed<std::size_t> own(3000);
        for (std::size_t k = 0; k < 3000; ++k) own[k] = i;
        fn::parallel_for(30, threads, [&](std::size_t k) { ++done[i * 30 + k]; });
        for (std::size_t k = 0; k < 3000; ++k) expect(own[k] == i, "two scopes have the same memory");
    });
    for (const int each : done) expect(each == 1, "a task was not done once");
}

void exceptions(int threads) {
    for (std::size_t bad = 0; bad < 40; ++bad) {
        bool caught = false;
        try {
            fn::parallel_for(40, threads, [&](std::size_t i) {
                const fn::Borrowed<double> memory(100);
                memory[0] = 1;
                if (i >= bad) throw std::runtime_error("task");
            });
        } catch (const std::runtime_error& error) {
            caught = std::strcmp(error.what(), "task") == 0;
        }
        expect(caught, "an exception of a task was lost");
    }
}

void results() {
    fn::ResultPool& pool = fn::result_pool();
    std::vector<fn::PoolBlock> blocks;
    for (std::size_t i = 0; i < 200; ++i) {
        const std::size_t bytes = (1 + i * 37 % 11) << 18;
        blocks.push_back(pool.take(bytes));
        expect(blocks.back().bytes >= bytes, "a block is too small");
        std::memset(blocks.back().data, static_cast<int>(i), 64);
        if (i % 3 > 0) pool.give(blocks.front()), blocks.erase(blocks.begin());
        if (i % 40 == 0) pool.set_limit((i % 80 ? 4 : 64) << 20);
        expect(pool.held() <= 64 << 20, "more is held than any limit");
    }
    for (const fn::PoolBlock& block : blocks) pool.give(block);
}

void settings() {
    for (int i = 0; i < 200; ++i) {
        fn::set_num_threads(1 + i % 5);
        for (const auto& target : fn::simd_targets()) expect(!target.empty(), "a target without a name");
        std::this_thread::yield();
    }
}

// Children work with what they have got: none of the threads, any state of the library.
void forks() {
#if !defined(_WIN32)
    for (int i = 0; i < 6; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            const int before = faults;
#if !defined(__SANITIZE_THREAD__)  // whose own locks a fork may leave taken: there only the handlers run
            calls(3, 1);
            results();
#endif
            _exit(faults == before ? 0 : 1);
        }
        int status = 0;
        expect(child > 0 && waitpid(child, &status, 0) == child, "no child");
        expect(!WIFSIGNALED(status), "a forked child hung or crashed");
        expect(WIFSIGNALED(status) || status == 0, "a forked child has other results");
    }
#endif
}

// Helpers may leave the caller's processor only for the time of a move.
void affinity() {
#if defined(__linux__)
    cpu_set_t all, each;
    sched_getaffinity(0, sizeof(all), &all);
    DIR* const tasks = opendir("/proc/self/task");
    while (const dirent* const task = readdir(tasks)) {
        const int thread = std::atoi(task->d_name);
        if (thread > 0 && sched_getaffinity(thread, sizeof(each), &each) == 0) {
            expect(CPU_EQUAL(&all, &each), "a thread was left without a processor");
        }
    }
    closedir(tasks);
#endif
}

}  // namespace

int main() {
    std::vector<std::thread> threads;
    const auto add = [&](const std::function<void()>& work) { threads.emplace_back(work); };
    for (int i = 0; i < 3; ++i) {
        add([i] { calls(2 + i, 12); });
        add([i] { nested_loops(2 + i); });
        add([i] { exceptions(2 + i); });
        add(results);
    }
    add(settings);
    add(forks);
    for (std::thread& thread : threads) thread.join();
    affinity();
    std::printf("%d faults\n", faults.load());
    return faults == 0 ? 0 : 1;
}
