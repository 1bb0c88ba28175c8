#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "fastnorm/fastnorm.h"
#include "once.h"
#include "parallel.h"
#include "shape/limits.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace fastnorm {
namespace {

thread_local int local_threads = 0;

// A positive whole number at the start of the text (OMP_NUM_THREADS may be a list), else 0.
// A number of threads, 0 if there is none in `text`. OpenMP's may be the first of a list.
int parse_count(const char* text, bool list) {
    if (!text) return 0;
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    while (*end == ' ') ++end;
    return (list || *end == '\0') && value > 0 && value <= 1024 ? static_cast<int>(value) : 0;
}

int affinity_count() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// CPUs granted by quota/period, rounded up; 0 where there is no quota.
int quota_count(double quota, double period) {
    if (quota <= 0 || period <= 0) return 0;
    return static_cast<int>((quota + period - 1) / period);
}

// The process's own cgroup path for version 2 ("0::/path") inside the mounted hierarchy.
std::string cgroup_path() {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("0::", 0) == 0) return line.substr(3);
    }
    return "";
}

int cgroup_count() {
    // The tightest quota of this group and all above it counts.
    int least = 0;
    const auto take = [&](int count) {
        if (count > 0) least = least ? std::min(least, count) : count;
    };
    for (std::string path = cgroup_path();; path.erase(path.rfind('/'))) {
        std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
        std::string quota;
        double period = 0;
        if (file >> quota >> period && quota != "max") take(quota_count(std::atof(quota.c_str()), period));
        if (path.rfind('/') == std::string::npos) break;
    }
    std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    double quota = 0, period = 0;
    if (quota_file >> quota && period_file >> period) take(quota_count(quota, period));
    return least;
}

std::atomic<int>& global_threads() {
    static std::atomic<int> threads{0};
    once(threads, default_num_threads);
    return threads;
}

}  // namespace

int threads_for(std::size_t bytes) {
    if (bytes < 2 * limits::kBytesPerThread) return 1;
    return std::min(get_num_threads(),
                    static_cast<int>(std::min<std::size_t>(bytes / limits::kBytesPerThread, 1 << 16)));
}

ThreadLimits thread_limits() {
    return {parse_count(std::getenv("FASTNORM_NUM_THREADS"), false), affinity_count(), cgroup_count(),
            parse_count(std::getenv("OMP_NUM_THREADS"), true)};
}

int default_num_threads() {
    const ThreadLimits limits = thread_limits();
    if (limits.fastnorm_num_threads) return limits.fastnorm_num_threads;
    int threads = limits.affinity;
    for (const int limit : {limits.cgroup_quota, limits.omp_num_threads}) {
        if (limit) threads = std::min(threads, limit);
    }
    return std::max(1, threads);
}

int get_num_threads() { return local_threads ? local_threads : global_threads().load(std::memory_order_relaxed); }

void set_num_threads(int n) {
    if (n < 1) throw std::invalid_argument("number of threads must be at least 1, got " + std::to_string(n));
    global_threads().store(n);
}

int set_local_num_threads(int n) {
    if (n < 0) throw std::invalid_argument("number of threads must be at least 0, got " + std::to_string(n));
    return std::exchange(local_threads, n);
}

}  // namespace fastnorm
