// How operations scale with threads, beside a copy of the same bytes on as many threads. Needs no Python:
//
//     fastnorm_scaling [--seconds 100] [--quick] [--only TEXT] [--sizes 1,8,512]
//
// prints tables in Markdown. Sizes are megabytes of the data; a forward pass goes through two arrays of that size, a
// backward through three. The numbers of threads take turns, so that other work on the machine meets all alike, and the
// best turn of each counts.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fastnorm/operations.h"
#include "shape/limits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fn = fastnorm;

namespace {

constexpr double kTurn = 0.01, kMegabyte = 1 << 20;
constexpr int kMostRounds = 15;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// ---- the copy: what memory and caches can do

// In blocks, since the C library writes long copies past the caches.
void copy_blocks(char* to, const char* from, std::size_t bytes) {
    constexpr std::size_t kBlock = 256 << 10;
    for (std::size_t i = 0; i < bytes; i += kBlock) std::memcpy(to + i, from + i, std::min(kBlock, bytes - i));
}

// Past the caches.
void copy_streaming(char* to, const char* from, std::size_t bytes) {
#if defined(__SSE2__)
    for (std::size_t i = 0; i < bytes; i += sizeof(__m128i)) {
        const __m128i value = _mm_load_si128(reinterpret_cast<const __m128i*>(from + i));
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), value);
    }
    _mm_sfence();
#else
    copy_blocks(to, from, bytes);
#endif
}

// Seconds of a copy of the first half of `memory` to the second. Each thread copies its part so many times before the
// others are waited for.
double time_copy(void (*copy)(char*, const char*, std::size_t), char* memory, std::size_t half, int threads,
                 int count) {
    const std::size_t part = half / static_cast<std::size_t>(threads) / 64 * 64;
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) {
        team.emplace_back([=, &ready, &go, from = memory + static_cast<std::size_t>(t) * part] {
            ++ready;
            while (!go) std::this_thread::yield();
            for (int i = 0; i < count; ++i) copy(from + half, from, part);
        });
    }
    while (ready < threads) std::this_thread::yield();
    const double start = now();
    go = true;
    for (std::thread& thread : team) thread.join();
    return (now() - start) / count;
}

// ---- the operations

struct Arrays {
    fn::Tensor x, dy;
    fn::MutableTensor y, mean, rstd;
    fn::NormOptions options;
    fn::BackwardOptions backward;
    fn::GradientResults gradients;
};

struct Case {
    const char* name;
    fn::DType dtype;
    std::size_t arrays;              // that must be read or written at the least
    std::vector<std::size_t> shape;  // of one sample; one of its axes is that of the channels
    std::size_t channels;
    void (*call)(const Arrays&);
};

const std::vector<Case> kCases = {
    {"layer norm, rows of 768",
     fn::DType::f32,
     2,
     {768},
     768,
     [](const Arrays& a) { fn::layer_norm(a.x, -1, a.options, {a.y}); }},
    {"layer norm in bfloat16",
     fn::DType::bf16,
     2,
     {768},
     768,
     [](const Arrays& a) { fn::layer_norm(a.x, -1, a.options, {a.y}); }},
    {"layer norm's backward",
     fn::DType::f32,
     3,
     {768},
     768,
     [](const Arrays& a) { fn::layer_norm_backward(a.dy, a.x, a.mean, a.rstd, -1, a.backward, a.gradients); }},
    {"batch norm training, Nx64x56x56",
     fn::DType::f32,
     2,
     {64, 56, 56},
     64,
     [](const Arrays& a) { fn::batch_norm_forward(a.x, 1, a.options, {}, {a.y, a.mean, a.rstd}); }},
    {"batch norm's backward",
     fn::DType::f32,
     3,
     {64, 56, 56},
     64,
     [](const Arrays& a) { fn::batch_norm_backward(a.dy, a.x, a.mean, a.rstd, 1, a.backward, a.gradients); }},
    {"group norm, Nx32x32x128 in 32",
     fn::DType::f32,
     2,
     {32, 32, 128},
     128,
     [](const Arrays& a) { fn::group_norm(a.x, 32, -1, a.options, {a.y}); }},
};

// Signs and fractions at random, -2 to -1 and 1 to 2: so is every two bytes as bfloat16, and every four as float32.
void draw(char* memory, std::size_t bytes) {
    std::uint64_t state = 88172645463325252u;
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        const std::uint64_t words = (state & 0x807F807F807F807Fu) | 0x3F803F803F803F80u;
        std::memcpy(memory + i, &words, 8);
    }
}

// A case in `memory`: the data, for a backward the gradient, then the result.
class Problem {
public:
    Problem(const Case& of, std::size_t wanted, char* memory) : case_(of), memory_(memory), shape_(of.shape) {
        std::size_t sample = of.dtype == fn::DType::bf16 ? 2 : 4;
        for (const std::size_t length : of.shape) sample *= length;
        const std::size_t samples = std::max<std::size_t>(1, (wanted + sample / 2) / sample), each = samples * sample;
        shape_.insert(shape_.begin(), samples);
        bytes_ = of.arrays * each;
        draw(memory, bytes_);

        const bool rows = shape_.size() == 2;
        groups_[0] = rows ? samples : of.channels;
        channels_[0] = of.channels;
        parameters_.assign(4 * of.channels, 1.0f);
        statistics_.assign(2 * groups_[0], 0.5);
        const auto parameter = [this](std::size_t i) {
            return fn::MutableTensor(parameters_.data() + i * channels_[0], channels_);
        };
        const auto statistic = [this, rows](std::size_t i) {
            return fn::MutableTensor(statistics_.data() + i * groups_[0], fn::DType::f64, rows ? 2 : 1, groups_);
        };
        arrays_.x = {memory, of.dtype, shape_.size(), shape_.data()};
        arrays_.dy = {memory + each, of.dtype, shape_.size(), shape_.data()};
        arrays_.y = {memory + bytes_ - each, of.dtype, shape_.size(), shape_.data()};
        arrays_.mean = statistic(0), arrays_.rstd = statistic(1);
        arrays_.options.weight = arrays_.backward.weight = parameter(0);
        arrays_.options.bias = parameter(1);
        arrays_.gradients = {arrays_.y, parameter(2), parameter(3)};
    }
    Problem(const Problem&) = delete;
    Problem& operator=(const Problem&) = delete;

    double bytes() const { return static_cast<double>(bytes_); }
    // The median of the calls of a turn.
    double time_call() const {
        std::vector<double> samples;
        for (const double end = now() + kTurn; samples.empty() || now() < end;) {
            const double start = now();
            case_.call(arrays_);
            samples.push_back(now() - start);
        }
        std::sort(samples.begin(), samples.end());
        return samples[samples.size() / 2];
    }
    // Of so many threads; `best` is what it took before.
    double time_copies(int threads, double best) const {
        const double about = std::min(best, bytes() / (5e9 * threads));
        const int count = std::max(1, static_cast<int>(kTurn / 2 / about));
        return std::min(time_copy(&copy_blocks, memory_, bytes_ / 128 * 64, threads, count),
                        time_copy(&copy_streaming, memory_, bytes_ / 128 * 64, threads, count));
    }

private:
    const Case& case_;
    char* const memory_;
    std::size_t bytes_ = 0, groups_[2] = {0, 1}, channels_[1] = {0};
    std::vector<std::size_t> shape_;
    std::vector<float> parameters_;
    std::vector<double> statistics_;
    Arrays arrays_;
};

struct Best {
    double call = 1e9, copy = 1e9;
};

// The best of each number of threads, in turns until the time is over.
std::vector<Best> measure(const Problem& problem, const std::vector<int>& counts, double end) {
    std::vector<Best> best(counts.size());
    for (int round = 0; round < kMostRounds && (round == 0 || now() < end); ++round) {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            fn::set_num_threads(counts[i]);
            best[i].call = std::min(best[i].call, problem.time_call());
            best[i].copy = std::min(best[i].copy, problem.time_copies(counts[i], best[i].copy));
        }
    }
    return best;
}

// ---- what is printed

// The line of a file that begins with a key, what is behind its colon; without a key the first line.
std::string fact(const std::string& path, const std::string& key = "") {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, key.size(), key) == 0) return key.empty() ? line : line.substr(line.find(':') + 2);
    }
    return "";
}

void print_machine(int processors) {
    std::string caches, targets;
    for (int i = 0; i < 8; ++i) {
        const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
        if (fact(folder + "size").empty() || fact(folder + "type") == "Instruction") continue;
        caches += ", L" + fact(folder + "level") + " " + fact(folder + "size") + " of processors " +
                  fact(folder + "shared_cpu_list");
    }
    for (const std::string& name : fn::simd_targets()) targets += " " + name;
    const std::string cpu = "/proc/cpuinfo";
    const fn::ThreadLimits limits = fn::thread_limits();
    std::printf("%s (family %s, model %s), %d processors (may run on %d, quota %d)%s. SIMD target %s, of%s. ",
                fact(cpu, "model name").c_str(), fact(cpu, "cpu family").c_str(), fact(cpu, "model\t").c_str(),
                processors, limits.affinity, limits.cgroup_quota, caches.c_str(), fn::simd_target().c_str(),
                targets.c_str());
    const fn::CacheSizes sizes = fn::cache_sizes();
    std::printf("Known of the caches: L2 %.4g MB, L3 %.4g MB; written past them from %.4g MB on. Load before: %s.\n\n",
                double(sizes.l2) / kMegabyte, double(sizes.l3) / kMegabyte, double(fn::stream_bytes()) / kMegabyte,
                fact("/proc/loadavg").c_str());
}

// A row for each number of threads as soon as it is known, in the end a table of all in short.
void measure_and_print(const std::vector<std::pair<double, const Case*>>& runs, const std::vector<int>& counts,
                       char* memory, double end) {
    std::string brief = "\n| times one thread (of the copy) |", line = "\n|---|";
    for (const int n : counts) brief += " " + std::to_string(n) + " |", line += "---:|";
    brief += line;
    std::puts("| operation | threads | ms | GB/s | copy's GB/s | of the copy | times one thread |");
    std::puts("|---|---:|---:|---:|---:|---:|---:|");
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const auto& [size, c] = runs[i];
        const double start = now(), ours = std::max(0.0, end - start) / double(runs.size() - i);
        const Problem problem(*c, static_cast<std::size_t>(size * kMegabyte), memory);
        const std::vector<Best> best = measure(problem, counts, start + ours);
        char name[96], cell[32];
        std::snprintf(name, sizeof name, "| %s, %g MB |", c->name, size);
        brief += std::string("\n") + name;
        for (std::size_t k = 0; k < counts.size(); ++k) {
            const double call = best[k].call, copy = best[k].copy, faster = best[0].call / call;
            std::printf("%s %d | %.4g | %.1f | %.1f | %.2f | %.2f |\n", name, counts[k], call * 1e3,
                        problem.bytes() / call / 1e9, problem.bytes() / copy / 1e9, copy / call, faster);
            std::snprintf(cell, sizeof cell, " %.2f (%.2f) |", faster, copy / call);
            brief += cell;
        }
        std::fflush(stdout);
    }
    std::puts(brief.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 100, largest = 0;
    std::string only, sizes = "1,8,512";
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
        if (option == "--quick") seconds = 5, sizes = "1,64";
        if (option == "--seconds") seconds = std::atof(value.c_str());
        if (option == "--only") only = value;
        if (option == "--sizes") sizes = value;
    }
    const double end = now() + seconds;
    const int processors = fn::default_num_threads();
    print_machine(processors);

    std::vector<int> counts;
    for (const int n : {1, 2, 4, 8, 12, 16, 24, 32, 48, 64}) {
        if (n < processors) counts.push_back(n);
    }
    counts.push_back(processors);
    std::vector<std::pair<double, const Case*>> runs;
    std::stringstream list(sizes);
    for (std::string size; std::getline(list, size, ',');) {
        largest = std::max(largest, std::atof(size.c_str()));
        for (const Case& c : kCases) {
            if (std::strstr(c.name, only.c_str())) runs.emplace_back(std::atof(size.c_str()), &c);
        }
    }
    // Three arrays, rounded to whole samples, in large pages, which NumPy asks for too.
    const std::size_t room = static_cast<std::size_t>(3 * largest + 8) << 20;
    char* const memory = static_cast<char*>(std::aligned_alloc(2 << 20, (room >> 21 << 21) + (2 << 20)));
    if (!memory || runs.empty()) return 1;
    madvise(memory, room, MADV_HUGEPAGE);
    measure_and_print(runs, counts, memory, end);
    std::free(memory);
}
