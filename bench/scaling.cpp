// How operations scale with threads, beside a copy of the same bytes on as many threads. Needs no Python:
//
//     fastnorm_scaling [--seconds 100] [--quick] [--only TEXT] [--sizes 1,8,512]
//
// prints tables in Markdown. Sizes are megabytes of the data; a forward pass goes through two arrays of that size, a
// backward through three. The numbers of threads take turns, so that other work on the machine meets all alike, and the
// best turn of each counts.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fastnorm/operations.h"
#include "scaling_problem.h"
#include "shape/limits.h"

namespace {

constexpr double kMegabyte = 1 << 20;
constexpr int kMostRounds = 15;

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
    std::map<std::string, std::string> options = {{"--seconds", "100"}, {"--only", ""}, {"--sizes", "1,8,512"}};
    for (int i = 1; i < argc; ++i) {
        const auto option = options.find(argv[i]);
        if (std::strcmp(argv[i], "--quick") == 0) {
            options["--seconds"] = "5", options["--sizes"] = "1,64";
        } else if (option != options.end() && i + 1 < argc) {
            option->second = argv[++i];
        } else {
            std::fprintf(stderr, "usage: %s [--seconds N] [--quick] [--only TEXT] [--sizes MB,MB]\n", argv[0]);
            return 2;
        }
    }
    const double end = now() + std::atof(options["--seconds"].c_str());
    const int processors = fn::default_num_threads();
    print_machine(processors);

    std::vector<int> counts;
    for (const int n : {1, 2, 4, 8, 12, 16, 24, 32, 48, 64}) {
        if (n < processors) counts.push_back(n);
    }
    counts.push_back(processors);
    double largest = 0;
    std::vector<std::pair<double, const Case*>> runs;
    std::stringstream sizes(options["--sizes"]);
    for (std::string size; std::getline(sizes, size, ',');) {
        largest = std::max(largest, std::atof(size.c_str()));
        for (const Case& c : kCases) {
            if (std::strstr(c.name, options["--only"].c_str())) runs.emplace_back(std::atof(size.c_str()), &c);
        }
    }
    // Three arrays, rounded to whole samples, in large pages, which NumPy asks for too.
    constexpr std::size_t kPage = 2 << 20;
    const std::size_t room = static_cast<std::size_t>(3 * largest / 2 + 6) * kPage;
    char* const memory = static_cast<char*>(std::aligned_alloc(kPage, room));
    if (!memory) return 1;
    madvise(memory, room, MADV_HUGEPAGE);
    measure_and_print(runs, counts, memory, end);
    std::free(memory);
}
